package api

import "time"

// ServerStatus is the state of an installation as its administrators see it.
type ServerStatus struct {
	Version      string          `json:"version"` // of the server that answers
	Database     DatabaseStatus  `json:"database"`
	Keys         []KeyStatus     `json:"keys"`          // the oldest first
	KeyRotation  *KeyRotation    `json:"key_rotation"`  // null: none is under way
	Servers      []RunningServer `json:"servers"`       // those that have reported within half a minute
	LatestBackup *Backup         `json:"latest_backup"` // null: none was made
}

// DatabaseStatus describes the database of an installation.
type DatabaseStatus struct {
	Backend       string `json:"backend"` // "sqlite" or "postgresql"
	SchemaVersion int    `json:"schema_version"`
	// SchemaExpected is the version that the server which answers was made for. A
	// lower one than SchemaVersion says that a newer server has migrated the
	// database already, a higher one that a migration is still to be applied.
	SchemaExpected int       `json:"schema_expected"`
	MigratedAt     time.Time `json:"migrated_at"` // when the newest migration was applied
	Bytes          int64     `json:"bytes"`
}

// KeyStatus is an encryption key that the database knows, by its fingerprint.
type KeyStatus struct {
	Fingerprint string     `json:"fingerprint"`
	Seals       bool       `json:"seals"` // new values are encrypted with it
	CreatedAt   time.Time  `json:"created_at"`
	RetiredAt   *time.Time `json:"retired_at"`  // null: values may be under it
	ExportedAt  *time.Time `json:"exported_at"` // when a person was last given it
}

// KeyRotation is a rotation of the encryption key that is under way.
type KeyRotation struct {
	From       string     `json:"from"` // fingerprint
	To         string     `json:"to"`   // fingerprint
	Undo       bool       `json:"undo"` // it takes back one that was not finished
	StartedAt  time.Time  `json:"started_at"`
	VerifiedAt *time.Time `json:"verified_at"`
}

// RunningServer is one of the servers of an installation.
type RunningServer struct {
	Host             string   `json:"host"`
	Version          string   `json:"version"`
	Keys             []string `json:"keys"`              // fingerprints of those that it holds
	ConfigGeneration string   `json:"config_generation"` // equal where the settings are
	// SettingsGeneration is that of the settings saved by administrators which it
	// goes by; 0: none were saved.
	SettingsGeneration int64     `json:"settings_generation"`
	StartedAt          time.Time `json:"started_at"`
	SeenAt             time.Time `json:"seen_at"`
}

// Backup is a backup of an installation that was made.
type Backup struct {
	TakenAt     time.Time  `json:"taken_at"` // the moment whose state it holds
	VerifiedAt  *time.Time `json:"verified_at"`
	Host        string     `json:"host"`
	Bytes       int64      `json:"bytes"`
	EncryptedTo string     `json:"encrypted_to"` // fingerprint of a key, or "passphrase"
	Scheduled   bool       `json:"scheduled"`
}
