package api

import "time"

// Identity is an account at an identity provider that opens the caller's account
// here.
type Identity struct {
	ID          string     `json:"id"`
	Provider    string     `json:"provider"` // address
	Email       string     `json:"email"`    // as the provider last said it; it decides nothing
	CreatedAt   time.Time  `json:"created_at"`
	LastLoginAt *time.Time `json:"last_login_at"`
}

// LinkIdentity begins to link an identity to the caller's account.
// CurrentPassword is needed if the account has a password, Code if it has a second
// factor: a code of the app or a recovery code. Next is the page to go on to
// afterwards.
type LinkIdentity struct {
	CurrentPassword Value  `json:"current_password,omitzero"`
	Code            Value  `json:"code,omitzero"`
	Next            string `json:"next,omitempty"`
}

// Redirect is where the browser is to go now.
type Redirect struct {
	Redirect string `json:"redirect"`
}
