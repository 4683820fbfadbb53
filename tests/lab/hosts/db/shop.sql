CREATE TABLE orders (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  sku text NOT NULL,
  quantity integer NOT NULL,
  total integer NOT NULL, -- cents
  placed_at timestamptz NOT NULL
);
INSERT INTO orders (sku, quantity, total, placed_at)
SELECT 'coffee-1kg', 1 + n % 3, (1 + n % 3) * 1890, now() - n * interval '1 hour' FROM generate_series(1, 5000) AS n;
