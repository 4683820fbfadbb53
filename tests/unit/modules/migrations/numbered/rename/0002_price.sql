-- migrate:up
ALTER TABLE "orders" RENAME COLUMN unit_price TO price;

-- migrate:down
ALTER TABLE "orders" RENAME COLUMN price TO unit_price;
