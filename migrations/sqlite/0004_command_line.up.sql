-- The sign-in of the command line: by a browser on the same machine, or by a code
-- that a person types into a browser elsewhere.

-- Codes that a browser takes to the command line after a person has agreed. Each
-- serves once, for a minute, and no longer than the session in which he agreed.
CREATE TABLE cli_logins (
    digest         BLOB NOT NULL PRIMARY KEY, -- of the code
    user_id        TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    session_id     TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    code_challenge TEXT NOT NULL, -- RFC 7636, S256: only who began the sign-in has what it is made of
    machine        TEXT NOT NULL, -- as the command line calls where it runs; may be empty
    lifetime_days  INTEGER NOT NULL, -- how long the token will live
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL
) STRICT;
CREATE INDEX cli_logins_session ON cli_logins (session_id);
CREATE INDEX cli_logins_user ON cli_logins (user_id);
CREATE INDEX cli_logins_expires ON cli_logins (expires_at);

-- Device authorizations (RFC 8628): what waits for a person to type its code.
CREATE TABLE device_logins (
    device_digest    BLOB NOT NULL PRIMARY KEY, -- of the code that the command line keeps
    user_code_digest BLOB NOT NULL UNIQUE, -- a MAC: the code is short
    machine          TEXT NOT NULL, -- as the command line calls where it runs; may be empty
    ip               TEXT NOT NULL,
    user_agent       TEXT NOT NULL,
    state            TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'denied')),
    user_id          TEXT REFERENCES users (id) ON DELETE CASCADE, -- who has approved it
    session_id       TEXT REFERENCES sessions (id) ON DELETE CASCADE, -- and in which session
    lifetime_days    INTEGER NOT NULL, -- how long the token will live; 0: not approved
    created_at       INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL,
    last_poll_at     INTEGER,
    CHECK ((state = 'approved') = (user_id IS NOT NULL AND session_id IS NOT NULL AND lifetime_days > 0))
) STRICT;
CREATE INDEX device_logins_session ON device_logins (session_id);
CREATE INDEX device_logins_user ON device_logins (user_id);
CREATE INDEX device_logins_expires ON device_logins (expires_at);
