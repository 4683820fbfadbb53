-- +goose Up
ALTER TABLE "orders" DROP COLUMN unit_price;

-- +goose Down
ALTER TABLE "orders" ADD COLUMN unit_price integer;
