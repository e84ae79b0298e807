CREATE TABLE generations (
    number INTEGER PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('coming', 'issuing', 'old'))
) STRICT;
CREATE TABLE certificates (
    serial TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    generation INTEGER NOT NULL,
    trusts INTEGER NOT NULL,        -- newest generation whose root its owner was given
    hardware TEXT NOT NULL,
    issued INTEGER NOT NULL,        -- unix s
    not_after INTEGER NOT NULL,
    pem TEXT NOT NULL,
    revoked INTEGER,
    reason TEXT
) STRICT;
CREATE INDEX certificates_by_name ON certificates (name, not_after);
CREATE TABLE codes (
    device TEXT PRIMARY KEY,
    key BLOB NOT NULL,
    hardware TEXT NOT NULL,
    expires INTEGER NOT NULL
) STRICT;
CREATE TABLE answers (              -- a request that comes again gets the same answer
    id TEXT PRIMARY KEY,
    request BLOB NOT NULL,          -- SHA-256 of what its proof is over
    answer BLOB NOT NULL,
    t INTEGER NOT NULL
) STRICT;
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
