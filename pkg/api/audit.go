package api

import "time"

// AuditEvent is one line of the audit trail. It names secrets but never holds a
// value. These names are also those of the lines of `heartlock audit export`.
type AuditEvent struct {
	ID          string            `json:"id"` // a whole number; they grow by one
	At          time.Time         `json:"at"`
	Actor       Actor             `json:"actor"`
	Credential  string            `json:"credential,omitempty"` // what the actor came with: "session:<id>" or "token:<id>"
	Action      string            `json:"action"`               // "secret.read", "token.create", …
	Outcome     string            `json:"outcome"`              // "success" or "refused"
	Project     string            `json:"project,omitempty"`    // its id, which stays when the project is gone; only in the trail of the whole server
	Environment string            `json:"environment,omitempty"`
	Target      string            `json:"target,omitempty"` // what was acted on, by name
	IP          string            `json:"ip,omitempty"`
	UserAgent   string            `json:"user_agent,omitempty"`
	RequestID   string            `json:"request_id,omitempty"`
	Detail      map[string]string `json:"detail,omitempty"`
	MAC         string            `json:"mac,omitempty"` // its place in the chain, in hexadecimal digits; only in an export
}
