-- usable from: 1
-- Of a command: until when it may be begun (unix ms), how often it was begun and in which boot, what
-- was asked (to tell a repetition from another request with its id), whose key signed it, and why it
-- ended as it did.
ALTER TABLE commands ADD COLUMN exp INTEGER;
ALTER TABLE commands ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE commands ADD COLUMN boot TEXT;
ALTER TABLE commands ADD COLUMN digest BLOB;
ALTER TABLE commands ADD COLUMN kid TEXT;
ALTER TABLE commands ADD COLUMN reason TEXT;
-- What each key has signed before: nothing up to `floor` is taken again, nor any of `recent` (JSON).
CREATE TABLE signers (kid TEXT PRIMARY KEY, floor INTEGER NOT NULL, recent TEXT NOT NULL) STRICT, WITHOUT ROWID;
