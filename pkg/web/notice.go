package web

// notices are what a page says once after a form has done its work, by the names
// that visit.done is told.
var notices = map[string]string{
	"identity-linked":     "The account at the identity provider is linked.",
	"identity-unlinked":   "The account at the identity provider opens your account no longer.",
	"password-changed":    "Your password is changed. Every other session has ended.",
	"profile-saved":       "Your profile is saved.",
	"project-created":     "The project is there, with three environments to begin with.",
	"second-factor-off":   "The second factor is off. Your password alone opens your account.",
	"secret-created":      "The secret is there.",
	"secret-deleted":      "The secret is deleted. Its versions are kept for a while: bring it back from its history.",
	"secret-saved":        "Saved.",
	"session-ended":       "The session has ended.",
	"sessions-ended":      "Every other session has ended.",
	"signed-out":          "You are signed out.",
	"token-revoked":       "The token is revoked.",
	"session-over":        "You were signed out. Sign in to go on.",
	"session-over-form":   "You were signed out before this was saved. Sign in and do it again.",
	"password-reset":      "Your new password is saved. Sign in with it.",
	"invitation-accepted": "You are a member of this project now.",
}
