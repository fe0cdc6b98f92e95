package vault

import "github.com/heartlock/heartlock/pkg/api"

// EmailProblem is what is wrong with the address of a new account, as the end of
// a sentence that begins with what it is ("must be …"), or "". It is for forms
// that check an answer at once; every operation checks again.
func EmailProblem(address string) string {
	_, problem := canonicalEmail(address)
	return problem
}

// PasswordProblem is the same for the password of an account with this address.
func PasswordProblem(password api.Value, address string) string {
	return checkPassword(password, address)
}
