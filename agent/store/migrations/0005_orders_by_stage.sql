-- Counting orders by stage reads this index, not the documents: the page asks at every change.
CREATE INDEX orders_stage ON orders (stage, received);
