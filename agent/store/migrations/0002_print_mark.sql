-- usable from: 1
-- What the printer's own counter showed before the job was sent: whether it came out can be seen
-- from it even when the agent was killed meanwhile.
ALTER TABLE jobs ADD COLUMN mark TEXT;
-- A scheduled order's ticket waits for this unix ms.
ALTER TABLE jobs ADD COLUMN not_before INTEGER;
