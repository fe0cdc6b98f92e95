-- Custody: which key seals, who holds it, what is being rotated, what was backed
-- up, and how far back the history of an environment is complete.

-- Exactly one key seals. A key that was retired opens nothing any more and is
-- remembered so that it is not taken up again by mistake.
ALTER TABLE encryption_keys ADD COLUMN is_sealing INTEGER NOT NULL DEFAULT 0;
ALTER TABLE encryption_keys ADD COLUMN retired_at INTEGER;
ALTER TABLE encryption_keys ADD COLUMN exported_at INTEGER; -- when a person was last given it
UPDATE encryption_keys SET is_sealing = 1 WHERE fingerprint = (
    SELECT k.fingerprint FROM encryption_keys k ORDER BY k.created_at DESC, k.fingerprint DESC LIMIT 1);
CREATE UNIQUE INDEX encryption_keys_sealing ON encryption_keys (is_sealing) WHERE is_sealing;

-- The rotation that is under way, if there is one.
CREATE TABLE key_rotation (
    id               INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    from_fingerprint TEXT NOT NULL, -- sealed before it began
    to_fingerprint   TEXT NOT NULL, -- seals now
    is_undo          INTEGER NOT NULL, -- it takes back one that was not finished
    started_at       INTEGER NOT NULL,
    verified_at      INTEGER -- when everything was found to be under the new key and to open
) STRICT;

-- The servers that run, each by what it last said of itself. A server that stops
-- removes its row; one that was killed is known by its silence.
CREATE TABLE servers (
    id                TEXT NOT NULL PRIMARY KEY, -- of the process
    host              TEXT NOT NULL,
    version           TEXT NOT NULL,
    key_fingerprints  TEXT NOT NULL, -- of the keys that it holds, separated by commas
    config_generation TEXT NOT NULL, -- equal where the settings files are
    started_at        INTEGER NOT NULL,
    seen_at           INTEGER NOT NULL -- by the database's clock
) STRICT;

-- Backups that were made of this database.
CREATE TABLE backups (
    id           TEXT NOT NULL PRIMARY KEY,
    taken_at     INTEGER NOT NULL, -- the moment whose state it holds
    finished_at  INTEGER, -- NULL: being made, or given up
    verified_at  INTEGER, -- when it was read back and everything in it opened
    host         TEXT NOT NULL,
    path         TEXT NOT NULL, -- on that host; empty: to standard output
    bytes        INTEGER NOT NULL,
    encrypted_to TEXT NOT NULL, -- fingerprint of a key, or 'passphrase'
    is_scheduled INTEGER NOT NULL
) STRICT;
CREATE INDEX backups_taken ON backups (taken_at);

-- From this revision on, every state of the environment can be told: retention
-- has removed nothing that belongs to one.
ALTER TABLE environments ADD COLUMN history_from INTEGER NOT NULL DEFAULT 0;

-- The other indexes of this table are partial, and no use to what is deleted with
-- its environment.
CREATE INDEX secrets_environment ON secrets (environment_id);
