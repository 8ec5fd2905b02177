-- Which machine has a node's name by now, counted from 0: raised by `ctl nodes replace`.
ALTER TABLE nodes ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
-- Runs keep away from it until then.
ALTER TABLE nodes ADD COLUMN paused_until INTEGER;
ALTER TABLE nodes ADD COLUMN pause_reason TEXT;

-- The catalog that a node had when the run began: for a revert.
ALTER TABLE run_nodes ADD COLUMN previous BLOB;
ALTER TABLE run_nodes ADD COLUMN previous_policies BLOB;
-- What an action left, as JSON.
ALTER TABLE run_nodes ADD COLUMN output TEXT;
-- What an apply was allowed to do: for going on with it later.
ALTER TABLE run_nodes ADD COLUMN approval BLOB;

-- Jobs may also go to members that the run does not change: they are asked, or do what is done once.
CREATE TABLE jobs_2 (
    run INTEGER NOT NULL REFERENCES runs (id),
    node TEXT NOT NULL,
    step INTEGER NOT NULL,
    kind TEXT NOT NULL,
    catalog BLOB NOT NULL,
    deadline INTEGER NOT NULL,
    -- Null while it is open.
    result BLOB,
    PRIMARY KEY (run, node, step)
) STRICT, WITHOUT ROWID;
INSERT INTO jobs_2 SELECT run, node, step, kind, catalog, deadline, result FROM jobs;
DROP TABLE jobs;
ALTER TABLE jobs_2 RENAME TO jobs;
CREATE INDEX open_jobs ON jobs (node) WHERE result IS NULL;

-- Catalogs that a run needs beside those of its nodes: what is done once, what a revert goes back to.
CREATE TABLE run_catalogs (
    run INTEGER NOT NULL REFERENCES runs (id),
    catalog BLOB NOT NULL,
    PRIMARY KEY (run, catalog)
) STRICT, WITHOUT ROWID;
