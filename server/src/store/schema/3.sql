-- The tables of the inventory themselves are made from their columns: see store/inventory.rs.

-- When a node last told how it is, whether or not anything was new.
CREATE TABLE reports (
    node TEXT PRIMARY KEY REFERENCES nodes (name) ON DELETE CASCADE,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Which tables of a node are here, as it had them.
CREATE TABLE sections (
    node TEXT NOT NULL REFERENCES nodes (name) ON DELETE CASCADE,
    name TEXT NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (node, name)
) STRICT, WITHOUT ROWID;

-- What became different, row by row; the first report of a table is none. Kept when a node goes.
CREATE TABLE changes (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    node TEXT NOT NULL,
    name TEXT NOT NULL,
    -- The row's key, and the rest of it as JSON; null where there was, or is, none.
    key TEXT NOT NULL,
    before TEXT,
    after TEXT
) STRICT;
CREATE INDEX changes_by_node ON changes (node, at);
CREATE INDEX changes_by_time ON changes (at);
