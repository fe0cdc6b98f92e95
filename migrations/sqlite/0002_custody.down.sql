DROP INDEX secrets_environment;
-- Back to the schema without custody. Stop all servers and finish a rotation first.
ALTER TABLE environments DROP COLUMN history_from;
DROP TABLE backups;
DROP TABLE servers;
DROP TABLE key_rotation;
DELETE FROM encryption_keys WHERE retired_at IS NOT NULL;
DROP INDEX encryption_keys_sealing;
ALTER TABLE encryption_keys DROP COLUMN exported_at;
ALTER TABLE encryption_keys DROP COLUMN retired_at;
ALTER TABLE encryption_keys DROP COLUMN is_sealing;
