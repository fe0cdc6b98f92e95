package vault

import (
	_ "embed"
	"sort"
	"strings"
)

// commonPasswords are the passwords that guessers try first: lower case, of eight
// and more characters, sorted by their bytes, each with a line feed. Where it is
// from is in passwords/LICENSE. It is searched as it lies in the program, so
// that nothing has to be prepared.
//
//go:embed passwords/common.txt
var commonPasswords string

// isCommonPassword reports whether a password is among those that guessers try
// first, whatever its case and the spaces around it.
func isCommonPassword(password string) bool {
	wanted := strings.ToLower(strings.TrimSpace(password))
	if strings.ContainsRune(wanted, '\n') {
		return false
	}
	// The first byte from which on no line begins that sorts before wanted.
	i := sort.Search(len(commonPasswords), func(i int) bool { return lineAt(i) >= wanted })
	return i < len(commonPasswords) && lineAt(i) == wanted
}

// lineAt is the line that the byte at i belongs to.
func lineAt(i int) string {
	start := strings.LastIndexByte(commonPasswords[:i], '\n') + 1
	line, _, _ := strings.Cut(commonPasswords[start:], "\n")
	return line
}
