-- Back to an empty database. Everything in it is lost.
DROP TABLE idempotency_keys;
DROP TABLE audit_events;
DROP TABLE token_environments;
DROP TABLE tokens;
DROP TABLE secret_versions;
DROP TABLE secrets;
DROP TABLE environments;
DROP TABLE memberships;
DROP TABLE projects;
DROP TABLE sessions;
DROP TABLE users;
DROP TABLE encryption_keys;
DROP TABLE instance;
