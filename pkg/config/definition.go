package config

import (
	"fmt"
	"strings"
)

// Definition is a setting of the server: all that loading, the report and the
// documentation know about it.
type Definition struct {
	Name         string
	Group        string
	Aliases      []string // older names, read when Name is unset
	Kind         string   // "true or false", "number", "list", "text", "URL", …
	Default      string   // "" = none, or one that Doc explains
	DebugDefault string   // the default with DEBUG=True, where it differs
	Secret       bool     // never shown
	Managed      string   // its key in appconfig.json; "" when it is not managed there
	Doc          string   // one sentence

	read reader
	show func(*Server) string // the effective value where it is more than the text
}

// reader puts the text of a setting into the Server, or says what is wrong with
// it. Of a secret it must not repeat anything.
type reader func(l *loader, text string) error

// defaultText is the default for a mode.
func (d Definition) defaultText(debug bool) string {
	if debug && d.DebugDefault != "" {
		return d.DebugDefault
	}
	return d.Default
}

// The readers of the plain kinds.

func boolean(field func(*loader) *bool) reader {
	return func(l *loader, text string) error {
		value, err := parseBool(text)
		if err == nil {
			*field(l) = value
		}
		return err
	}
}

// triState keeps "not set" apart from False.
func triState(field func(*loader) **bool) reader {
	return func(l *loader, text string) error {
		value, err := parseBool(text)
		if err == nil {
			*field(l) = &value
		}
		return err
	}
}

func integer(lowest, highest int, set func(l *loader, n int)) reader {
	return func(l *loader, text string) error {
		n, err := parseInt(text, lowest, highest)
		if err == nil {
			set(l, n)
		}
		return err
	}
}

// plainText takes text as it is; control characters have no place in any of the
// settings that it is used for.
func plainText(field func(*Server) *string) reader {
	return func(l *loader, text string) error {
		if err := checkPrintable(text); err != nil {
			return err
		}
		*field(l.server) = text
		return nil
	}
}

func secretText(field func(*Server) *Secret) reader {
	return func(l *loader, text string) error {
		if err := checkPrintable(text); err != nil {
			return err
		}
		*field(l.server) = NewSecret(text)
		return nil
	}
}

func list(set func(l *loader, items []string) error) reader {
	return func(l *loader, text string) error {
		items, err := parseList(text)
		if err != nil {
			return err
		}
		return set(l, items)
	}
}

func checkPrintable(text string) error {
	for _, r := range text {
		if r < 0x20 || r == 0x7f || r == '\uFFFD' {
			return fmt.Errorf("holds a control character, or is not valid UTF-8")
		}
	}
	return nil
}

// The effective values of the plain kinds.

func showBool(field func(*Server) bool) func(*Server) string {
	return func(s *Server) string { return boolText(field(s)) }
}

func showList(field func(*Server) []string) func(*Server) string {
	return func(s *Server) string { return strings.Join(field(s), ",") }
}

func boolText(value bool) string {
	if value {
		return "True"
	}
	return "False"
}
