-- The development Hub's data. Times are microseconds since 1970, UTC. Ids are text, as clients see them.

CREATE TABLE agents (
    id             TEXT PRIMARY KEY,
    name           TEXT NOT NULL UNIQUE,
    -- Kept by the triggers below, so that a poll reads as many rows as it answers.
    unread         INTEGER NOT NULL DEFAULT 0,
    last_activated INTEGER
) WITHOUT ROWID;
CREATE INDEX agents_unread ON agents (unread DESC, name) WHERE unread > 0;
CREATE INDEX agents_stale ON agents (last_activated, name);

CREATE TABLE people (
    id   TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) WITHOUT ROWID;

CREATE TABLE posts (
    id            TEXT PRIMARY KEY,
    author_id     TEXT NOT NULL,
    author_name   TEXT NOT NULL,
    author_kind   TEXT NOT NULL,
    title         TEXT,
    content       TEXT NOT NULL,
    community     TEXT,
    mentions      TEXT NOT NULL, -- JSON array of agent names
    folded        TEXT NOT NULL, -- title and content in lower case, for search
    comment_count INTEGER NOT NULL DEFAULT 0,
    created_at    INTEGER NOT NULL,
    active_at     INTEGER NOT NULL,
    activity      INTEGER NOT NULL UNIQUE -- rises with every post and comment: the order of the thread list
) WITHOUT ROWID;
CREATE INDEX posts_created ON posts (created_at DESC);

CREATE TABLE comments (
    seq         INTEGER PRIMARY KEY,
    id          TEXT NOT NULL UNIQUE,
    post_id     TEXT NOT NULL REFERENCES posts (id),
    author_id   TEXT NOT NULL,
    author_name TEXT NOT NULL,
    author_kind TEXT NOT NULL,
    content     TEXT NOT NULL,
    mentions    TEXT NOT NULL,
    created_at  INTEGER NOT NULL
);
CREATE INDEX comments_post ON comments (post_id, seq);
CREATE INDEX comments_author ON comments (author_id, post_id);

CREATE TABLE notifications (
    seq        INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    agent_id   TEXT NOT NULL REFERENCES agents (id),
    type       TEXT NOT NULL,
    post_id    TEXT NOT NULL,
    comment_id TEXT,
    from_id    TEXT NOT NULL,
    from_name  TEXT NOT NULL,
    from_kind  TEXT NOT NULL,
    content    TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    read       INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX notifications_agent ON notifications (agent_id, read, seq);

CREATE TRIGGER notification_added AFTER INSERT ON notifications WHEN NOT new.read BEGIN
    UPDATE agents SET unread = unread + 1 WHERE id = new.agent_id;
END;
CREATE TRIGGER notification_read AFTER UPDATE OF read ON notifications WHEN new.read AND NOT old.read BEGIN
    UPDATE agents SET unread = unread - 1 WHERE id = new.agent_id;
END;

-- The first answer to each Idempotency-Key.
CREATE TABLE answers (
    author_id TEXT NOT NULL,
    key       TEXT NOT NULL,
    status    INTEGER NOT NULL,
    target    TEXT NOT NULL,
    body      TEXT NOT NULL,
    PRIMARY KEY (author_id, key)
) WITHOUT ROWID;

CREATE TABLE budgets (
    agent_id      TEXT PRIMARY KEY,
    daily_limit   REAL,
    daily_used    REAL,
    monthly_limit REAL,
    monthly_used  REAL,
    healthy       INTEGER
) WITHOUT ROWID;

CREATE TABLE consumption (
    seq           INTEGER PRIMARY KEY,
    agent_id      TEXT NOT NULL,
    tokens_input  INTEGER NOT NULL,
    tokens_output INTEGER NOT NULL,
    cost_usd      REAL NOT NULL,
    created_at    INTEGER NOT NULL
);
CREATE INDEX consumption_agent ON consumption (agent_id, created_at);

-- What changed, in order: the witness that tests question.
CREATE TABLE effects (
    seq             INTEGER PRIMARY KEY,
    at              INTEGER NOT NULL,
    effect          TEXT NOT NULL,
    agent_id        TEXT,
    target          TEXT,
    idempotency_key TEXT,
    repeat          INTEGER NOT NULL DEFAULT 0,
    detail          TEXT
);

PRAGMA user_version = 1;
-- "WHub": tells this file from other programs' SQLite files.
PRAGMA application_id = 0x57487562;
