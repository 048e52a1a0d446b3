-- Warren's store in one SQLite file, schema 1.0.
--
-- Times are milliseconds since the Unix epoch on the store's clock. Priorities are numbers because they are compared:
-- 0 high, 1 normal, 2 low. States, modes and reasons are the words of the design. There are no CHECKs on them: a row that
-- somebody wrote by hand must be found and given up on with a reason (index items_odd), not make a statement fail.

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE items (
    seq INTEGER PRIMARY KEY,            -- the order of enqueueing, which an item keeps whatever happens to it
    id TEXT NOT NULL UNIQUE,
    agent_id TEXT NOT NULL,
    agent_name TEXT NOT NULL,
    task_type TEXT NOT NULL,
    priority INTEGER NOT NULL,
    inbox_count INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    payload TEXT,
    min_interval INTEGER NOT NULL,      -- milliseconds
    trace_context TEXT,
    state TEXT NOT NULL,
    first_state TEXT NOT NULL,          -- the answer to a repeated enqueue
    note TEXT NOT NULL DEFAULT '',
    due_at INTEGER,
    by_breaker INTEGER NOT NULL DEFAULT 0, -- delayed by the breaker: an operator's reset makes it ready
    ready_at INTEGER NOT NULL DEFAULT 0,
    resumed INTEGER NOT NULL DEFAULT 0, -- recovered or given back: its start was counted, the interval does not apply
    host TEXT,
    token TEXT,
    lease_until INTEGER,
    probe INTEGER NOT NULL DEFAULT 0,
    started_before INTEGER,             -- the agent's last start before this claim: a claim that ran nothing gives it back
    waited INTEGER NOT NULL DEFAULT 0,  -- milliseconds, as the claim was answered
    reason TEXT,
    ended_at INTEGER,
    generation TEXT
) STRICT;

-- What a claim walks: nothing but ready items, best first.
CREATE INDEX items_ready ON items (priority, seq, agent_id, ready_at) WHERE state = 'queued';
-- At most one claim per agent (I4), whatever the code does.
CREATE UNIQUE INDEX items_active ON items (agent_id) WHERE state = 'active';
CREATE INDEX items_lease ON items (lease_until) WHERE state = 'active';
CREATE INDEX items_due ON items (due_at) WHERE state = 'delayed';
CREATE INDEX items_of_agent ON items (agent_id, state, priority, seq);
CREATE INDEX items_mergeable ON items (agent_id, task_type)
    WHERE task_type <> 'direct' AND state IN ('queued', 'waiting', 'delayed', 'held');
CREATE INDEX items_done ON items (ended_at) WHERE state = 'done';
CREATE INDEX items_dead ON items (seq) WHERE state = 'dead';
CREATE INDEX items_odd ON items (seq)
    WHERE state NOT IN ('queued', 'waiting', 'delayed', 'held', 'active', 'done', 'dead')
        OR priority NOT IN (0, 1, 2)
        OR (state = 'active' AND lease_until IS NULL)
        OR (state = 'delayed' AND due_at IS NULL);

-- How many items are where, so that bounds and statistics cost the same with any number of items.
CREATE TABLE counts (
    state TEXT NOT NULL,
    priority INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (state, priority)
) STRICT, WITHOUT ROWID;

INSERT INTO counts (state, priority, n)
SELECT s.column1, p.column1, 0
FROM (VALUES ('queued'), ('waiting'), ('delayed'), ('held'), ('active'), ('done'), ('dead')) AS s,
     (VALUES (0), (1), (2)) AS p;

CREATE TRIGGER items_inserted AFTER INSERT ON items BEGIN
    UPDATE counts SET n = n + 1 WHERE state = NEW.state AND priority = NEW.priority;
END;
CREATE TRIGGER items_moved AFTER UPDATE OF state, priority ON items
WHEN OLD.state <> NEW.state OR OLD.priority <> NEW.priority BEGIN
    UPDATE counts SET n = n - 1 WHERE state = OLD.state AND priority = OLD.priority;
    UPDATE counts SET n = n + 1 WHERE state = NEW.state AND priority = NEW.priority;
END;
CREATE TRIGGER items_deleted AFTER DELETE ON items BEGIN
    UPDATE counts SET n = n - 1 WHERE state = OLD.state AND priority = OLD.priority;
END;

-- Answers to enqueues that added nothing, for repeats.
CREATE TABLE answers (
    id TEXT PRIMARY KEY,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,                 -- merged, skipped, full
    detail TEXT NOT NULL,               -- the id merged into, the reason, the limit
    news INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX answers_at ON answers (at);

-- Every claim token that was used, so that a repeated claim claims nothing new and a repeated completion is answered.
CREATE TABLE claims (
    token TEXT PRIMARY KEY,
    item TEXT NOT NULL,
    ended_at INTEGER,
    answer TEXT NOT NULL DEFAULT '',    -- done, dead, retry, returned; empty while active and after a lost lease
    retry_at INTEGER NOT NULL DEFAULT 0,
    attempt INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX claims_ended ON claims (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE agents (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    paused INTEGER NOT NULL DEFAULT 0,
    mode TEXT NOT NULL DEFAULT 'automatic',
    failures INTEGER NOT NULL DEFAULT 0,
    exponent INTEGER NOT NULL DEFAULT 0,
    healthy_since INTEGER,
    open_until INTEGER,
    probed INTEGER NOT NULL DEFAULT 0,
    lease_losses INTEGER NOT NULL DEFAULT 0,
    cool_until INTEGER,
    cool_downs INTEGER NOT NULL DEFAULT 0,
    last_started INTEGER,
    last_ended INTEGER,
    last_reason TEXT,
    last_detail TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
CREATE INDEX agents_name ON agents (name);
CREATE INDEX agents_backoff ON agents (mode, open_until)
    WHERE mode = 'forced_open' OR (mode = 'automatic' AND open_until IS NOT NULL);

-- Agents that an operator has paused before the store has met them.
CREATE TABLE paused_ahead (
    name TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE endings (
    agent_id TEXT NOT NULL,
    reason TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (agent_id, reason)
) STRICT, WITHOUT ROWID;

-- Daily and per-thread limits are counts of these rows: they can't drift from what was done.
CREATE TABLE effects (
    key TEXT PRIMARY KEY,
    agent_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    day INTEGER NOT NULL,               -- number of the UTC day
    thread TEXT,
    token TEXT NOT NULL,                -- the claim that began it
    at INTEGER NOT NULL,
    result TEXT                         -- absent until it is known to have happened
) STRICT, WITHOUT ROWID;
CREATE INDEX effects_daily ON effects (agent_id, day, kind);
CREATE INDEX effects_thread ON effects (agent_id, thread) WHERE thread IS NOT NULL;
CREATE INDEX effects_at ON effects (at);

CREATE TABLE agent_state (
    agent_id TEXT NOT NULL,
    key TEXT NOT NULL,
    size INTEGER NOT NULL,              -- bytes of key and value
    value BLOB NOT NULL,
    UNIQUE (agent_id, key)
) STRICT;

CREATE TABLE leadership (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    holder_host TEXT NOT NULL DEFAULT '',
    holder_start TEXT NOT NULL DEFAULT '',
    address TEXT NOT NULL DEFAULT '',
    term INTEGER NOT NULL DEFAULT 0,
    since INTEGER NOT NULL DEFAULT 0,
    until INTEGER NOT NULL DEFAULT 0,   -- in the past: the lease is free
    reserved_host TEXT NOT NULL DEFAULT '',
    reserved_until INTEGER NOT NULL DEFAULT 0,
    state TEXT,
    state_term INTEGER NOT NULL DEFAULT 0,
    state_sha256 TEXT NOT NULL DEFAULT ''
) STRICT;
INSERT INTO leadership (one) VALUES (1);

CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    host TEXT,
    agent_id TEXT,
    item TEXT,
    detail TEXT NOT NULL
) STRICT;

-- Processes that live, or did within the last hour.
CREATE TABLE hosts (
    holder TEXT PRIMARY KEY,            -- name and start
    at INTEGER NOT NULL,                -- the last beat, or when it left
    ttl INTEGER NOT NULL,               -- milliseconds that it lives without another beat
    body TEXT NOT NULL,                 -- what it says of itself
    has_left INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE generations (
    plugin TEXT NOT NULL,
    digest TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (plugin, digest)
) STRICT, WITHOUT ROWID;

-- Hubs by address: whether they were seen to honour idempotency keys.
CREATE TABLE hubs (
    address TEXT PRIMARY KEY,
    honours_keys INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
