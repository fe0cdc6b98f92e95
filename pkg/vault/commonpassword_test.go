package vault

import (
	"slices"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
)

func TestCommonPasswordsAreRefused(t *testing.T) {
	t.Parallel()
	for _, password := range []string{
		"password", "Password1", "PASSWORD123", " iloveyou ", "p@ssw0rd", "qwertyuiop", "1q2w3e4r", "changeme", "abcd1234", "trustno1\n", "sunshine1",
	} {
		if checkPassword(api.NewValue(password), "ann@example.com") == "" {
			t.Errorf("%q is accepted", password)
		}
	}
	for _, password := range []string{"", "\n", "passwor", "passwordz9x", "correct horse battery", "password\npassword1", "zzzzzzzzzzzzzzzzz~", "\u00ff"} {
		if isCommonPassword(password) {
			t.Errorf("%q is said to be common", password)
		}
	}
}

// TestTheListOfCommonPasswords sees that the search can find every entry.
func TestTheListOfCommonPasswords(t *testing.T) {
	t.Parallel()
	list := strings.Split(strings.TrimSuffix(commonPasswords, "\n"), "\n")
	if len(list) < 10_000 || !slices.IsSorted(list) {
		t.Errorf("%d entries, sorted: %v", len(list), slices.IsSorted(list))
	}
	for _, entry := range list {
		if len(entry) < minPassword || entry != strings.ToLower(strings.TrimSpace(entry)) || !isCommonPassword(entry) {
			t.Errorf("%q is not as it should be, or is not found", entry)
		}
	}
}
