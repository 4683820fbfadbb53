-- The first table; DROP TABLE orders; would be a comment here.
CREATE TABLE orders (
    id bigint PRIMARY KEY,
    unit_price numeric(10, 2) NOT NULL
);
