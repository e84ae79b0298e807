-- The same for every database.

-- Numbers `first .. last` that are neither stored nor explained. The device still has them and will
-- send them, unless `epoch` is no longer its epoch: then they went with its old disk.
CREATE VIEW missing AS
SELECT hole.device, hole.epoch, hole.stream, hole.before + 1 AS first, hole.after - 1 AS last,
       coalesce(device.epoch = hole.epoch, TRUE) AS awaited
FROM (
    SELECT device, epoch, stream, last AS before,
           lead(first) OVER (PARTITION BY device, epoch, stream ORDER BY first) AS after
    FROM (
        SELECT device, epoch, stream, 0 AS first, contiguous AS last FROM mark
        UNION ALL
        SELECT device, epoch, stream, first, last FROM ahead
        UNION ALL
        SELECT device, epoch, stream, told + 1, told + 1 FROM mark WHERE told > newest
    ) AS run
) AS hole
LEFT JOIN device ON device.device = hole.device
WHERE hole.after > hole.before + 1;

-- What devices have deleted as delivered: of `numbers` so many are not here. More than none means
-- that another back end has them, or that this database is younger than its devices.
CREATE VIEW forgotten AS
SELECT device, epoch, stream, first, last, last - first + 1 AS numbers,
       last - first + 1 - (
           SELECT count(*) FROM event
           WHERE event.device = gap.device AND event.epoch = gap.epoch
             AND event.stream = gap.stream AND event.seq BETWEEN gap.first AND gap.last
       ) AS absent
FROM gap
WHERE reason = 'forgotten';

-- How far the audit chain of each device has come; keep a copy elsewhere (docs/fleet-commands.md).
CREATE VIEW audit_head AS
SELECT device, epoch, CAST(body ->> 'n' AS bigint) AS n, body ->> 'hash' AS hash
FROM (
    SELECT device, epoch, body,
           row_number() OVER (PARTITION BY device, epoch ORDER BY seq DESC) AS back
    FROM event WHERE kind = 'audit'
) AS newest
WHERE back = 1;
