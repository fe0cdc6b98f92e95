-- The first schema, for SQLite. Times are microseconds since 1970 (UTC), ids
-- are UUIDs as text, digests are SHA-256. The other engine has the same file.

-- One row: this installation. Its onboarded_at closes the first run for ever.
CREATE TABLE instance (
    id           INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    onboarded_at INTEGER NOT NULL
) STRICT;

-- The encryption keys under which something in this database may be sealed, each
-- with a token that only that key opens. A server that lacks one does not start.
CREATE TABLE encryption_keys (
    fingerprint TEXT NOT NULL PRIMARY KEY,
    check_token TEXT NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE users (
    id            TEXT NOT NULL PRIMARY KEY,
    email         TEXT NOT NULL UNIQUE, -- lower case, ASCII: see vault's rule for addresses
    first_name    TEXT NOT NULL,
    last_name     TEXT NOT NULL,
    password_hash TEXT NOT NULL, -- argon2id in PHC form; empty: no password
    is_active     INTEGER NOT NULL,
    is_superuser  INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    last_login_at INTEGER
) STRICT;

CREATE TABLE sessions (
    id           TEXT NOT NULL PRIMARY KEY,
    digest       BLOB NOT NULL UNIQUE,
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    ip           TEXT NOT NULL,
    user_agent   TEXT NOT NULL
) STRICT;
CREATE INDEX sessions_user ON sessions (user_id);

CREATE TABLE projects (
    id          TEXT NOT NULL PRIMARY KEY,
    slug        TEXT NOT NULL UNIQUE,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE memberships (
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role       TEXT NOT NULL CHECK (role IN ('viewer', 'member', 'admin', 'owner')),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (project_id, user_id)
) STRICT;
CREATE INDEX memberships_user ON memberships (user_id);

CREATE TABLE environments (
    id           TEXT NOT NULL PRIMARY KEY,
    project_id   TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    slug         TEXT NOT NULL,
    name         TEXT NOT NULL,
    position     INTEGER NOT NULL,
    is_protected INTEGER NOT NULL,
    revision     INTEGER NOT NULL, -- grows with each change of a secret in it
    secret_count INTEGER NOT NULL, -- of those that are not deleted
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    UNIQUE (project_id, slug)
) STRICT;

-- The newest version of every secret. A deleted secret stays as a version
-- without a value, so that numbering goes on if its key comes back.
CREATE TABLE secrets (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    environment_id  TEXT NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    key             TEXT NOT NULL,
    version         INTEGER NOT NULL,
    comment         TEXT NOT NULL,
    sealed          TEXT,          -- Fernet token; NULL: deleted
    key_fingerprint TEXT NOT NULL, -- of the key that sealed it
    revision        INTEGER NOT NULL, -- of the environment, at this version
    created_at      INTEGER NOT NULL, -- of version 1
    updated_at      INTEGER NOT NULL, -- of this version
    updated_by_kind TEXT NOT NULL,
    updated_by_id   TEXT NOT NULL,
    updated_by_name TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX secrets_live ON secrets (environment_id, key) WHERE sealed IS NOT NULL;
CREATE INDEX secrets_deleted ON secrets (environment_id, key) WHERE sealed IS NULL;

-- The former versions of every secret.
CREATE TABLE secret_versions (
    secret_id       INTEGER NOT NULL REFERENCES secrets (id) ON DELETE CASCADE,
    version         INTEGER NOT NULL,
    key             TEXT NOT NULL,
    comment         TEXT NOT NULL,
    sealed          TEXT,
    key_fingerprint TEXT NOT NULL,
    revision        INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    updated_by_kind TEXT NOT NULL,
    updated_by_id   TEXT NOT NULL,
    updated_by_name TEXT NOT NULL,
    PRIMARY KEY (secret_id, version)
) STRICT;

-- Personal tokens have a user, service tokens have a project.
CREATE TABLE tokens (
    id              TEXT NOT NULL PRIMARY KEY,
    digest          BLOB NOT NULL UNIQUE,
    prefix          TEXT NOT NULL,
    name            TEXT NOT NULL,
    user_id         TEXT REFERENCES users (id) ON DELETE CASCADE,
    project_id      TEXT REFERENCES projects (id) ON DELETE CASCADE,
    access          TEXT NOT NULL CHECK (access IN ('', 'read', 'write')),
    allowed_cidrs   TEXT NOT NULL, -- separated by commas; empty: from anywhere
    created_at      INTEGER NOT NULL,
    created_by_kind TEXT NOT NULL,
    created_by_id   TEXT NOT NULL,
    created_by_name TEXT NOT NULL,
    expires_at      INTEGER,
    last_used_at    INTEGER,
    last_used_ip    TEXT NOT NULL,
    exposed_at      INTEGER, -- when it was sent over plain http
    CHECK ((user_id IS NULL) <> (project_id IS NULL)),
    CHECK ((project_id IS NULL) = (access = ''))
) STRICT;
CREATE INDEX tokens_user ON tokens (user_id);
CREATE INDEX tokens_project ON tokens (project_id);

CREATE TABLE token_environments (
    token_id       TEXT NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    environment_id TEXT NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    PRIMARY KEY (token_id, environment_id)
) STRICT;
CREATE INDEX token_environments_environment ON token_environments (environment_id);

-- The audit trail. It outlives what it speaks of, so it refers to nothing.
CREATE TABLE audit_events (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    at               INTEGER NOT NULL,
    actor_kind       TEXT NOT NULL,
    actor_id         TEXT NOT NULL,
    actor_name       TEXT NOT NULL,
    action           TEXT NOT NULL,
    outcome          TEXT NOT NULL,
    project_id       TEXT NOT NULL, -- empty: not of a project
    environment_name TEXT NOT NULL,
    target           TEXT NOT NULL,
    detail           TEXT NOT NULL, -- JSON object, or empty
    ip               TEXT NOT NULL,
    user_agent       TEXT NOT NULL,
    request_id       TEXT NOT NULL
) STRICT;
CREATE INDEX audit_events_project ON audit_events (project_id, id);

-- Answers to requests that created something and named an Idempotency-Key.
CREATE TABLE idempotency_keys (
    owner           TEXT NOT NULL, -- who sent it: users and tokens have a space each
    key             TEXT NOT NULL,
    request_digest  BLOB NOT NULL,
    sealed          TEXT NOT NULL, -- the answer, a Fernet token: it may hold a new token
    key_fingerprint TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (owner, key)
) STRICT;
CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);
