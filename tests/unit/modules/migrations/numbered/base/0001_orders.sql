CREATE TABLE "orders" (
    id integer PRIMARY KEY,
    unit_price integer NOT NULL DEFAULT 0
);
