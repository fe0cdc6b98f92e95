-- People: what each may see of a project, how they come in, how they prove who
-- they are, the mail to them, and an audit trail that can not be rewritten.

-- What a member may not do in single environments, as "none:<id>" and "read:<id>"
-- separated by spaces; empty: what his role allows. It is part of the membership,
-- and no table of its own, so that the lock on a membership holds all the rights.
ALTER TABLE memberships ADD COLUMN environment_limits TEXT NOT NULL DEFAULT '';

-- An invitation ends by being accepted or revoked, or by its time. The digests are
-- those of its newest links: one that its sender sees, and one that only the mail
-- holds, on servers whose mail reaches people.
CREATE TABLE invitations (
    id                 TEXT NOT NULL PRIMARY KEY,
    project_id         TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    email              TEXT NOT NULL, -- canonical
    role               TEXT NOT NULL CHECK (role IN ('viewer', 'member', 'admin', 'owner')),
    environment_limits TEXT NOT NULL, -- as of a membership
    digest             BLOB NOT NULL UNIQUE,
    mailed_digest      BLOB UNIQUE,
    invited_by         TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at         INTEGER NOT NULL,
    sent_at            INTEGER NOT NULL, -- when its newest link was made
    expires_at         INTEGER NOT NULL,
    accepted_at        INTEGER,
    revoked_at         INTEGER
) STRICT;
CREATE UNIQUE INDEX invitations_pending ON invitations (project_id, email) WHERE accepted_at IS NULL AND revoked_at IS NULL;
CREATE INDEX invitations_inviter ON invitations (invited_by, sent_at);

-- Who an identity provider says that someone is. It never changes its user.
CREATE TABLE identities (
    provider      TEXT NOT NULL, -- the issuer, or without one the address of its userinfo
    subject       TEXT NOT NULL, -- "sub"
    user_id       TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    email         TEXT NOT NULL, -- as the provider last said it
    created_at    INTEGER NOT NULL,
    last_login_at INTEGER,
    PRIMARY KEY (provider, subject)
) STRICT;
CREATE UNIQUE INDEX identities_user ON identities (user_id, provider);

-- Whether a session began at the identity provider, where it may have to end too.
ALTER TABLE sessions ADD COLUMN by_provider INTEGER NOT NULL DEFAULT 0;

-- Browsers that are away at the identity provider. Each comes back once.
CREATE TABLE sign_in_attempts (
    state_digest   BLOB NOT NULL PRIMARY KEY,
    browser_digest BLOB NOT NULL, -- of the cookie that binds the attempt to a browser
    user_id        TEXT REFERENCES users (id) ON DELETE CASCADE, -- who links an identity to his account
    next           TEXT NOT NULL, -- path to go on to
    created_at     INTEGER NOT NULL
) STRICT;
CREATE INDEX sign_in_attempts_created ON sign_in_attempts (created_at);

-- The link to choose a new password; the newest is the only one.
CREATE TABLE password_resets (
    user_id    TEXT NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    digest     BLOB NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

-- The second factor of an account: a secret for one-time codes (RFC 6238).
CREATE TABLE second_factors (
    user_id         TEXT NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    sealed          TEXT NOT NULL,
    key_fingerprint TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    confirmed_at    INTEGER, -- NULL: being set up, and not asked for
    last_step       INTEGER NOT NULL -- the time step of the last code: none serves twice
) STRICT;
CREATE TABLE recovery_codes (
    user_id TEXT NOT NULL REFERENCES second_factors (user_id) ON DELETE CASCADE,
    digest  BLOB NOT NULL,
    used_at INTEGER,
    PRIMARY KEY (user_id, digest)
) STRICT;

-- Failed attempts, by account and by network, for all servers together.
CREATE TABLE throttles (
    subject    TEXT NOT NULL PRIMARY KEY, -- such as account:ann@example.com
    failures   INTEGER NOT NULL,
    since      INTEGER NOT NULL, -- of the first that counts
    blocked_to INTEGER NOT NULL  -- 0: not blocked
) STRICT;
CREATE INDEX throttles_since ON throttles (since);

-- Where a person has signed in from before, so that a new place can be told to him.
CREATE TABLE sign_in_places (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    digest  BLOB NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, digest)
) STRICT;

-- Mail that is still to be sent. What it says may hold a link that opens an
-- account, so it is sealed, and removed once it was sent or given up.
CREATE TABLE mail_queue (
    id              TEXT NOT NULL PRIMARY KEY,
    kind            TEXT NOT NULL,
    recipient       TEXT NOT NULL,
    sealed          TEXT, -- NULL: sent or given up
    key_fingerprint TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL, -- by a server that has claimed it: when others may
    attempts        INTEGER NOT NULL,
    last_error      TEXT NOT NULL, -- in words for an administrator
    sent_at         INTEGER,
    given_up_at     INTEGER
) STRICT;
CREATE INDEX mail_queue_due ON mail_queue (next_attempt_at) WHERE sealed IS NOT NULL;
CREATE INDEX mail_queue_created ON mail_queue (created_at);

-- When the person behind a token was told that it expires soon.
ALTER TABLE tokens ADD COLUMN expiry_told_at INTEGER;

-- The settings that administrators change while servers run. Every server follows
-- the generation that stands here.
CREATE TABLE settings (
    id              INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    generation      INTEGER NOT NULL,
    sealed          TEXT NOT NULL, -- a JSON object; it may hold secrets
    key_fingerprint TEXT NOT NULL,
    updated_at      INTEGER NOT NULL
) STRICT;

-- The generation that a server goes by.
ALTER TABLE servers ADD COLUMN settings_generation INTEGER NOT NULL DEFAULT 0;

-- What an event's actor came with: "session:<id>" or "token:<id>".
ALTER TABLE audit_events ADD COLUMN credential TEXT NOT NULL DEFAULT '';
-- A MAC over the event, its id and the MAC before it. NULL: from before the chain.
ALTER TABLE audit_events ADD COLUMN mac BLOB;

-- The chain that the events form: its last link, where it begins, and the key of
-- its MACs. Ids have no gaps from its begin on.
CREATE TABLE audit_chain (
    id              INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    first_id        INTEGER NOT NULL, -- the first event that it holds
    first_mac       BLOB NOT NULL,    -- the MAC before that
    last_id         INTEGER NOT NULL, -- first_id - 1: it holds none
    last_mac        BLOB NOT NULL,
    head_mac        BLOB NOT NULL, -- a MAC over the four above: nobody without the key cuts the chain at either end
    sealed          TEXT, -- the key of the MACs; NULL: no encryption key is configured yet
    key_fingerprint TEXT NOT NULL
) STRICT;
