package api

// SecondFactorState says whether signing in with one's password asks for a code.
type SecondFactorState struct {
	Enabled           bool `json:"enabled"`
	Required          bool `json:"required"` // by this server, of this account
	RecoveryCodesLeft int  `json:"recovery_codes_left"`
}

// SecondFactorProof shows, from within a session, that it is in the hands of its
// person. Code is a code of the app or a recovery code.
type SecondFactorProof struct {
	Password Value `json:"password,omitzero"`
	Code     Value `json:"code,omitzero"`
}

// SecondFactorSetup is what an authenticator app has to be given. It is in the
// answer that creates it only, and has no effect before a code of the app
// confirms it.
type SecondFactorSetup struct {
	Secret Value `json:"secret"`      // base32, to be typed in
	URI    Value `json:"otpauth_uri"` // the same, to be shown as a QR code
}

// SecondFactorCode is a code of the app.
type SecondFactorCode struct {
	Code Value `json:"code"`
}

// RecoveryCodes take the place of the app when it is lost, each of them once. They
// are in the answer that creates them only; former ones are worthless.
type RecoveryCodes struct {
	Codes []Value `json:"recovery_codes"`
}
