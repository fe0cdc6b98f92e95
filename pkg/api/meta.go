package api

// Prefix is the path under which every endpoint stands.
const Prefix = "/api/v1"

// ProblemType is the media type of an error's body (RFC 9457).
const ProblemType = "application/problem+json"

// Problem is the body of every error.
type Problem struct {
	Type      string       `json:"type"`
	Title     string       `json:"title"`
	Status    int          `json:"status"`
	Detail    string       `json:"detail"` // a sentence that a person can act on
	Errors    []FieldError `json:"errors,omitempty"`
	RequestID string       `json:"request_id,omitempty"`
	// SecondFactor: the password was right, and the code of the second factor is
	// missing or wrong.
	SecondFactor bool `json:"second_factor,omitzero"`
	// Error is a word for programs, where the status alone does not tell them what to
	// do: see CLIToken.
	Error string `json:"error,omitzero"`
}

// FieldError is one thing wrong with a request.
type FieldError struct {
	Location string `json:"location"` // "body.email", "query.limit"
	Message  string `json:"message"`
}

// Page is one page of a list. Next is the cursor of the following page, or nil.
type Page[T any] struct {
	Results []T     `json:"results"`
	Next    *string `json:"next"`
}

// ActorKind says what sort of actor did something.
type ActorKind string

// The kinds of actors.
const (
	ActorUser         ActorKind = "user"
	ActorServiceToken ActorKind = "service_token"
	ActorSystem       ActorKind = "system"    // a command on the server itself
	ActorAnonymous    ActorKind = "anonymous" // nobody proved who they are
)

// Actor is who did something, by the name they had at that time.
type Actor struct {
	Kind ActorKind `json:"kind"`
	ID   string    `json:"id,omitempty"`
	Name string    `json:"name"` // an e-mail address or a token's name
}

// Health is the liveness answer.
type Health struct {
	Status string `json:"status"`
}

// Readiness is the answer of /ready/: whether this server can do its work.
type Readiness struct {
	Status          string `json:"status"` // "ok" or "unavailable"
	Reason          string `json:"reason,omitempty"`
	Version         string `json:"version"`
	Commit          string `json:"commit,omitempty"`
	SchemaVersion   int    `json:"schema_version"`
	EncryptionKey   string `json:"encryption_key,omitempty"` // fingerprint of the key that seals
	OnboardingOpen  bool   `json:"onboarding_required"`
	DatabaseBackend string `json:"database"` // "sqlite" or "postgresql"
}
