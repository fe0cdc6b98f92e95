package vault

import (
	"strings"

	"golang.org/x/text/unicode/norm"
)

// cleanNames gives names the one form in which they are stored: without spaces
// around them, and composed (Unicode NFC), so that what looks the same is the
// same. It comes before they are checked; nil is no name.
func cleanNames(names ...*string) {
	for _, name := range names {
		if name != nil {
			*name = norm.NFC.String(strings.TrimSpace(*name))
		}
	}
}
