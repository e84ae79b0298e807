-- Every event once. The key is the contract's; `body` is JSON as the device sent it, times are unix ms.
CREATE TABLE event (
    device TEXT NOT NULL, epoch TEXT NOT NULL, stream TEXT NOT NULL, seq INTEGER NOT NULL,
    kind TEXT NOT NULL, t INTEGER NOT NULL, tq TEXT NOT NULL, body TEXT NOT NULL,
    received INTEGER NOT NULL,
    PRIMARY KEY (device, epoch, stream, seq)
) STRICT, WITHOUT ROWID;

-- Numbers that will not come as events: evicted, restart, expired, purged as the device says.
-- Ours: forgotten, the device has deleted them for delivered, and set_aside, see that table.
CREATE TABLE gap (
    device TEXT NOT NULL, epoch TEXT NOT NULL, stream TEXT NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL, reason TEXT NOT NULL, received INTEGER NOT NULL,
    PRIMARY KEY (device, epoch, stream, first, last, reason)
) STRICT, WITHOUT ROWID;

-- 1 .. `contiguous` is accounted for and may be acknowledged; `newest` is the greatest number
-- accounted for, `told` the greatest that the device spoke of.
CREATE TABLE mark (
    device TEXT NOT NULL, epoch TEXT NOT NULL, stream TEXT NOT NULL,
    contiguous INTEGER NOT NULL DEFAULT 0, newest INTEGER NOT NULL DEFAULT 0,
    told INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (device, epoch, stream)
) STRICT, WITHOUT ROWID;

-- Runs accounted for beyond the first hole; empty when nothing is missing.
CREATE TABLE ahead (
    device TEXT NOT NULL, epoch TEXT NOT NULL, stream TEXT NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (device, epoch, stream, first)
) STRICT, WITHOUT ROWID;

CREATE TABLE device (
    device TEXT PRIMARY KEY, state TEXT NOT NULL, epoch TEXT NOT NULL, bd_seq INTEGER NOT NULL,
    since INTEGER NOT NULL, boot_id TEXT NOT NULL, agent TEXT NOT NULL, role TEXT NOT NULL,
    site TEXT NOT NULL, open_commands INTEGER NOT NULL, heard INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What could not be kept as what it claimed to be, with the reason; the same thing again is counted.
CREATE TABLE set_aside (
    digest TEXT PRIMARY KEY, topic TEXT NOT NULL, code TEXT NOT NULL, reason TEXT NOT NULL,
    payload BLOB NOT NULL, size INTEGER NOT NULL, times INTEGER NOT NULL,
    first_received INTEGER NOT NULL, last_received INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
