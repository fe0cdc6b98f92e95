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
    id                 TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    project_id         TEXT COLLATE "C" NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    email              TEXT COLLATE "C" NOT NULL, -- canonical
    role               TEXT NOT NULL CHECK (role IN ('viewer', 'member', 'admin', 'owner')),
    environment_limits TEXT NOT NULL, -- as of a membership
    digest             BYTEA NOT NULL UNIQUE,
    mailed_digest      BYTEA UNIQUE,
    invited_by         TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at         BIGINT NOT NULL,
    sent_at            BIGINT NOT NULL, -- when its newest link was made
    expires_at         BIGINT NOT NULL,
    accepted_at        BIGINT,
    revoked_at         BIGINT
);
CREATE UNIQUE INDEX invitations_pending ON invitations (project_id, email) WHERE accepted_at IS NULL AND revoked_at IS NULL;
CREATE INDEX invitations_inviter ON invitations (invited_by, sent_at);

-- Who an identity provider says that someone is. It never changes its user.
CREATE TABLE identities (
    provider      TEXT COLLATE "C" NOT NULL, -- the issuer, or without one the address of its userinfo
    subject       TEXT COLLATE "C" NOT NULL, -- "sub"
    user_id       TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    email         TEXT COLLATE "C" NOT NULL, -- as the provider last said it
    created_at    BIGINT NOT NULL,
    last_login_at BIGINT,
    PRIMARY KEY (provider, subject)
);
CREATE UNIQUE INDEX identities_user ON identities (user_id, provider);

-- Whether a session began at the identity provider, where it may have to end too.
ALTER TABLE sessions ADD COLUMN by_provider BOOLEAN NOT NULL DEFAULT false;

-- Browsers that are away at the identity provider. Each comes back once.
CREATE TABLE sign_in_attempts (
    state_digest   BYTEA NOT NULL PRIMARY KEY,
    browser_digest BYTEA NOT NULL, -- of the cookie that binds the attempt to a browser
    user_id        TEXT COLLATE "C" REFERENCES users (id) ON DELETE CASCADE, -- who links an identity to his account
    next           TEXT NOT NULL, -- path to go on to
    created_at     BIGINT NOT NULL
);
CREATE INDEX sign_in_attempts_created ON sign_in_attempts (created_at);

-- The link to choose a new password; the newest is the only one.
CREATE TABLE password_resets (
    user_id    TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    digest     BYTEA NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- The second factor of an account: a secret for one-time codes (RFC 6238).
CREATE TABLE second_factors (
    user_id         TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    sealed          TEXT NOT NULL,
    key_fingerprint TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    confirmed_at    BIGINT, -- NULL: being set up, and not asked for
    last_step       BIGINT NOT NULL -- the time step of the last code: none serves twice
);
CREATE TABLE recovery_codes (
    user_id TEXT COLLATE "C" NOT NULL REFERENCES second_factors (user_id) ON DELETE CASCADE,
    digest  BYTEA NOT NULL,
    used_at BIGINT,
    PRIMARY KEY (user_id, digest)
);

-- Failed attempts, by account and by network, for all servers together.
CREATE TABLE throttles (
    subject    TEXT COLLATE "C" NOT NULL PRIMARY KEY, -- such as account:ann@example.com
    failures   BIGINT NOT NULL,
    since      BIGINT NOT NULL, -- of the first that counts
    blocked_to BIGINT NOT NULL  -- 0: not blocked
);
CREATE INDEX throttles_since ON throttles (since);

-- Where a person has signed in from before, so that a new place can be told to him.
CREATE TABLE sign_in_places (
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    digest  BYTEA NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, digest)
);

-- Mail that is still to be sent. What it says may hold a link that opens an
-- account, so it is sealed, and removed once it was sent or given up.
CREATE TABLE mail_queue (
    id              TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    kind            TEXT NOT NULL,
    recipient       TEXT NOT NULL,
    sealed          TEXT, -- NULL: sent or given up
    key_fingerprint TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL, -- by a server that has claimed it: when others may
    attempts        BIGINT NOT NULL,
    last_error      TEXT NOT NULL, -- in words for an administrator
    sent_at         BIGINT,
    given_up_at     BIGINT
);
CREATE INDEX mail_queue_due ON mail_queue (next_attempt_at) WHERE sealed IS NOT NULL;
CREATE INDEX mail_queue_created ON mail_queue (created_at);

-- When the person behind a token was told that it expires soon.
ALTER TABLE tokens ADD COLUMN expiry_told_at BIGINT;

-- The settings that administrators change while servers run. Every server follows
-- the generation that stands here.
CREATE TABLE settings (
    id              BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    generation      BIGINT NOT NULL,
    sealed          TEXT NOT NULL, -- a JSON object; it may hold secrets
    key_fingerprint TEXT NOT NULL,
    updated_at      BIGINT NOT NULL
);

-- The generation that a server goes by.
ALTER TABLE servers ADD COLUMN settings_generation BIGINT NOT NULL DEFAULT 0;

-- What an event's actor came with: "session:<id>" or "token:<id>".
ALTER TABLE audit_events ADD COLUMN credential TEXT NOT NULL DEFAULT '';
-- A MAC over the event, its id and the MAC before it. NULL: from before the chain.
ALTER TABLE audit_events ADD COLUMN mac BYTEA;

-- The chain that the events form: its last link, where it begins, and the key of
-- its MACs. Ids have no gaps from its begin on.
CREATE TABLE audit_chain (
    id              BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    first_id        BIGINT NOT NULL, -- the first event that it holds
    first_mac       BYTEA NOT NULL,    -- the MAC before that
    last_id         BIGINT NOT NULL, -- first_id - 1: it holds none
    last_mac        BYTEA NOT NULL,
    head_mac        BYTEA NOT NULL, -- a MAC over the four above: nobody without the key cuts the chain at either end
    sealed          TEXT, -- the key of the MACs; NULL: no encryption key is configured yet
    key_fingerprint TEXT NOT NULL
);
