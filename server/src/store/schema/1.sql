-- Times are nanoseconds since 1970. JSON is for what people read with sqlite3, blobs for the rest.

-- Counters that rise with every change; caches are keyed by them.
CREATE TABLE versions (what TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT;
INSERT INTO versions VALUES ('registry', 0), ('facts', 0);

CREATE TABLE nodes (
    name TEXT PRIMARY KEY,
    roles TEXT NOT NULL,
    labels TEXT NOT NULL,
    -- Given by an operator; otherwise nodes are reached where they connect from.
    address TEXT,
    seen_address TEXT,
    fingerprint TEXT UNIQUE,
    machine_id TEXT,
    certificate BLOB,
    expires INTEGER,
    last_seen INTEGER,
    agent_version TEXT,
    applied BLOB,
    applied_at INTEGER,
    -- Policies that came with the applied catalog: how its health is asked until the next one.
    policies BLOB
) STRICT;

-- What was once let in and is so no more: a pool token never gives such a name away again.
CREATE TABLE former_nodes (name TEXT PRIMARY KEY, removed INTEGER NOT NULL) STRICT;
CREATE TABLE revoked_keys (fingerprint TEXT PRIMARY KEY, name TEXT NOT NULL, revoked INTEGER NOT NULL) STRICT;

CREATE TABLE pending (
    fingerprint TEXT PRIMARY KEY,
    machine_id TEXT NOT NULL,
    proposed_name TEXT NOT NULL,
    agent_version TEXT NOT NULL,
    reason TEXT NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL
) STRICT;

CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    hash BLOB NOT NULL,
    -- Set for a token that lets exactly this node in.
    node TEXT,
    roles TEXT NOT NULL,
    labels TEXT NOT NULL,
    names TEXT NOT NULL,
    uses_left INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT;

CREATE TABLE operators (
    name TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL
) STRICT;

CREATE TABLE facts (
    node TEXT PRIMARY KEY REFERENCES nodes (name) ON DELETE CASCADE,
    facts BLOB NOT NULL,
    at INTEGER NOT NULL
) STRICT;

CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    target TEXT NOT NULL,
    operator TEXT NOT NULL,
    phase TEXT NOT NULL,
    started INTEGER NOT NULL,
    ended INTEGER,
    snapshot TEXT NOT NULL,
    reason TEXT,
    diagnostics BLOB NOT NULL
) STRICT;

CREATE TABLE run_nodes (
    run INTEGER NOT NULL REFERENCES runs (id),
    node TEXT NOT NULL,
    roles TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    changed INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    catalog BLOB NOT NULL,
    policies BLOB NOT NULL,
    plan BLOB,
    report BLOB,
    PRIMARY KEY (run, node)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_nodes_by_node ON run_nodes (node, run);

CREATE TABLE jobs (
    run INTEGER NOT NULL,
    node TEXT NOT NULL,
    step INTEGER NOT NULL,
    kind TEXT NOT NULL,
    catalog BLOB NOT NULL,
    deadline INTEGER NOT NULL,
    -- Null while it is open.
    result BLOB,
    PRIMARY KEY (run, node, step),
    FOREIGN KEY (run, node) REFERENCES run_nodes (run, node)
) STRICT, WITHOUT ROWID;
CREATE INDEX open_jobs ON jobs (node) WHERE result IS NULL;

CREATE TABLE events (
    run INTEGER NOT NULL REFERENCES runs (id),
    sequence INTEGER NOT NULL,
    at INTEGER NOT NULL,
    what BLOB NOT NULL,
    PRIMARY KEY (run, sequence)
) STRICT, WITHOUT ROWID;

-- Which blobs a catalog names; itself included.
CREATE TABLE catalog_blobs (
    catalog BLOB NOT NULL,
    blob BLOB NOT NULL,
    PRIMARY KEY (catalog, blob)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    operator TEXT NOT NULL,
    peer TEXT NOT NULL,
    what TEXT NOT NULL,
    outcome TEXT NOT NULL
) STRICT;
CREATE TRIGGER audit_keeps BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_stays BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
