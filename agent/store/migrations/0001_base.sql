-- The outbox: a table a stream with nothing but its integer key. `boot` is set while the time of the
-- event is only known as monotonic milliseconds `mono` of that boot.
CREATE TABLE critical  (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, t INTEGER NOT NULL, tq TEXT NOT NULL, mono INTEGER, boot TEXT, body BLOB NOT NULL) STRICT;
CREATE TABLE state     (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, t INTEGER NOT NULL, tq TEXT NOT NULL, mono INTEGER, boot TEXT, body BLOB NOT NULL) STRICT;
CREATE TABLE telemetry (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, t INTEGER NOT NULL, tq TEXT NOT NULL, mono INTEGER, boot TEXT, body BLOB NOT NULL) STRICT;

-- `issued`: no greater seq was ever given to an event; `acked`: everything up to it may be forgotten.
CREATE TABLE stream (name TEXT PRIMARY KEY, issued INTEGER NOT NULL, acked INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO stream VALUES ('critical', 0, 0), ('state', 0, 0), ('telemetry', 0, 0);

-- epoch, bd_seq, shop status and the like.
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- What arrived and could not be handled: set aside with its reason, never silently dropped.
CREATE TABLE poison (id INTEGER PRIMARY KEY, topic TEXT NOT NULL, payload BLOB NOT NULL, reason TEXT NOT NULL, t INTEGER NOT NULL) STRICT;

-- Orders as last told by the back end; `stage` is what happened here (received, accepted, ...).
CREATE TABLE orders (order_id TEXT PRIMARY KEY, version INTEGER NOT NULL, status TEXT NOT NULL, stage TEXT NOT NULL, received INTEGER NOT NULL, document BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX orders_received ON orders (received);

-- Tickets; see agent/printing/jobs.py for the states. Times are unix ms.
CREATE TABLE jobs (
    job_id TEXT PRIMARY KEY,
    order_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    station TEXT NOT NULL,
    copy INTEGER NOT NULL,
    kind TEXT NOT NULL,           -- order, changed, void, test
    printer TEXT NOT NULL,        -- where it is to be printed now
    home TEXT NOT NULL,           -- the printer it was meant for
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    doubts INTEGER NOT NULL,      -- earlier attempts that may have come out on paper
    evidence TEXT NOT NULL,
    priority INTEGER NOT NULL,
    created INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    ticket BLOB NOT NULL,         -- agent.printing.ticket.Ticket as JSON
    reason TEXT
) STRICT;  -- with its rowid: jobs of one millisecond keep their order
CREATE INDEX jobs_open ON jobs (printer, state);
CREATE INDEX jobs_order ON jobs (order_id);
CREATE INDEX jobs_created ON jobs (created);

CREATE TABLE alerts (alert_id TEXT PRIMARY KEY, cause TEXT NOT NULL, state TEXT NOT NULL, order_id TEXT, raised INTEGER NOT NULL, changed INTEGER NOT NULL, by TEXT, detail BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX alerts_open ON alerts (state) WHERE state IN ('sounding', 'escalated');

CREATE TABLE commands (cmd_id TEXT PRIMARY KEY, name TEXT NOT NULL, status TEXT NOT NULL, received INTEGER NOT NULL, reply_topic TEXT, correlation BLOB, params BLOB NOT NULL, result BLOB) STRICT, WITHOUT ROWID;
