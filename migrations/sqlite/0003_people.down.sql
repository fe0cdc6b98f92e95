-- Back to the schema without people. Links that were sent stop working, second
-- factors and the proof of the audit trail are gone.
DROP TABLE audit_chain;
ALTER TABLE audit_events DROP COLUMN mac;
ALTER TABLE audit_events DROP COLUMN credential;
ALTER TABLE servers DROP COLUMN settings_generation;
DROP TABLE settings;
ALTER TABLE tokens DROP COLUMN expiry_told_at;
ALTER TABLE sessions DROP COLUMN by_provider;
DROP TABLE mail_queue;
DROP TABLE sign_in_places;
DROP TABLE throttles;
DROP TABLE recovery_codes;
DROP TABLE second_factors;
DROP TABLE password_resets;
DROP TABLE sign_in_attempts;
DROP TABLE identities;
DROP TABLE invitations;
ALTER TABLE memberships DROP COLUMN environment_limits;
