-- usable from: 1
-- The keys of the beacons that orders name, `owner` shop or courier. They are in no document, so that
-- no ticket, page, export or log can show them.
CREATE TABLE beacon_keys (
    order_id TEXT NOT NULL,
    owner TEXT NOT NULL,
    key BLOB NOT NULL,
    PRIMARY KEY (order_id, owner)
) STRICT, WITHOUT ROWID;
