-- The tables of sqlite.sql; COLLATE "C" lets every instance lock in the same order.

-- Every event once. The key is the contract's; `body` is JSON as jsonb, times are unix ms.
CREATE TABLE event (
    device text COLLATE "C" NOT NULL, epoch text COLLATE "C" NOT NULL,
    stream text COLLATE "C" NOT NULL, seq bigint NOT NULL,
    kind text NOT NULL, t bigint NOT NULL, tq text NOT NULL, body jsonb NOT NULL,
    received bigint NOT NULL,
    PRIMARY KEY (device, epoch, stream, seq)
);

-- Numbers that will not come as events: evicted, restart, expired, purged as the device says.
-- Ours: forgotten, the device has deleted them for delivered, and set_aside, see that table.
CREATE TABLE gap (
    device text COLLATE "C" NOT NULL, epoch text COLLATE "C" NOT NULL,
    stream text COLLATE "C" NOT NULL,
    first bigint NOT NULL, last bigint NOT NULL, reason text NOT NULL, received bigint NOT NULL,
    PRIMARY KEY (device, epoch, stream, first, last, reason)
);

-- 1 .. `contiguous` is accounted for and may be acknowledged; `newest` is the greatest number
-- accounted for, `told` the greatest that the device spoke of. Room in each page, so that a mark
-- moves on within its page and no index changes.
CREATE TABLE mark (
    device text COLLATE "C" NOT NULL, epoch text COLLATE "C" NOT NULL,
    stream text COLLATE "C" NOT NULL,
    contiguous bigint NOT NULL DEFAULT 0, newest bigint NOT NULL DEFAULT 0,
    told bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (device, epoch, stream)
) WITH (fillfactor = 50);

-- Runs accounted for beyond the first hole; empty when nothing is missing.
CREATE TABLE ahead (
    device text COLLATE "C" NOT NULL, epoch text COLLATE "C" NOT NULL,
    stream text COLLATE "C" NOT NULL,
    first bigint NOT NULL, last bigint NOT NULL,
    PRIMARY KEY (device, epoch, stream, first)
);

CREATE TABLE device (
    device text COLLATE "C" PRIMARY KEY, state text NOT NULL, epoch text NOT NULL, bd_seq bigint NOT NULL,
    since bigint NOT NULL, boot_id text NOT NULL, agent text NOT NULL, role text NOT NULL,
    site text NOT NULL, open_commands bigint NOT NULL, heard bigint NOT NULL
);

-- What could not be kept as what it claimed to be, with the reason; the same thing again is counted.
CREATE TABLE set_aside (
    digest text PRIMARY KEY, topic text NOT NULL, code text NOT NULL, reason text NOT NULL,
    payload bytea NOT NULL, size bigint NOT NULL, times bigint NOT NULL,
    first_received bigint NOT NULL, last_received bigint NOT NULL
);

CREATE TABLE consumer_schema (version bigint NOT NULL);
