-- usable from: 1
-- What staff did (`acted`, `acted_by`) and the back end has not confirmed, when an order was accepted
-- or rejected (`settled`, unix ms), how its word contradicted ours, and when to look at it again.
ALTER TABLE orders ADD COLUMN acted TEXT;
ALTER TABLE orders ADD COLUMN acted_by TEXT;
ALTER TABLE orders ADD COLUMN settled INTEGER;
ALTER TABLE orders ADD COLUMN conflict TEXT;
ALTER TABLE orders ADD COLUMN remind_at INTEGER;
ALTER TABLE orders ADD COLUMN lapse_at INTEGER;
CREATE INDEX orders_remind ON orders (remind_at) WHERE remind_at IS NOT NULL;
CREATE INDEX orders_lapse ON orders (lapse_at) WHERE lapse_at IS NOT NULL;
CREATE INDEX orders_settled ON orders (settled) WHERE settled IS NOT NULL;
-- How often an alert got more urgent because nobody answered.
ALTER TABLE alerts ADD COLUMN level INTEGER NOT NULL DEFAULT 0;
-- Goods that are running out; `portions` NULL: nobody counts them.
CREATE TABLE stock (
    sku TEXT PRIMARY KEY,
    name TEXT,
    portions INTEGER,
    available INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    by TEXT NOT NULL,
    low_since INTEGER
) STRICT, WITHOUT ROWID;
