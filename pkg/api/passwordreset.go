package api

// PasswordResetRequest asks for a link to choose a new password, by mail to the
// address of an account. The answer does not tell whether there is one.
type PasswordResetRequest struct {
	Email string `json:"email"`
}

// PasswordResetConfirm chooses a new password by the token of such a link, which
// serves once.
type PasswordResetConfirm struct {
	Token        Value `json:"token"`
	NewPassword  Value `json:"new_password"`
	RevokeTokens bool  `json:"revoke_tokens,omitzero"` // all personal tokens too
}
