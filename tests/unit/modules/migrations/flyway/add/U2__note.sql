DROP INDEX orders_note;
ALTER TABLE orders DROP COLUMN note;
