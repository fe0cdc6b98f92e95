package config

import (
	"fmt"
	"strings"

	"github.com/heartlock/heartlock/pkg/fault"
)

// Problem is one thing that keeps the settings from being used.
type Problem struct {
	Variable string // the variable, or the file, that is wrong
	Source   string // where the value was found; "" when that is nowhere or already said
	Message  string // what is wrong and what to write instead, never a secret
}

// String is the line that a person reads.
func (p Problem) String() string {
	if p.Source == "" {
		return p.Variable + ": " + p.Message
	}
	return fmt.Sprintf("%s (%s): %s", p.Variable, p.Source, p.Message)
}

// Errors is everything that is wrong with the settings, found in one go. Its
// kind is [fault.Usage] (exit code 2), its text one line for each problem.
type Errors struct{ Problems []Problem }

// Error returns one line for each problem.
func (e *Errors) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Unwrap makes fault.KindOf and errors.Is see the kind.
func (e *Errors) Unwrap() error { return fault.Usage }

// asError is e, or nil when nothing is wrong.
func (e *Errors) asError() error {
	if len(e.Problems) == 0 {
		return nil
	}
	return e
}

func (e *Errors) add(variable, source, format string, args ...any) {
	e.Problems = append(e.Problems, Problem{Variable: variable, Source: source, Message: fmt.Sprintf(format, args...)})
}

// shown is a value that is no secret, as it appears in a message: quoted, so that
// control characters can not forge a line, and cut when long.
func shown(value string) string {
	const longest = 40
	if r := []rune(value); len(r) > longest {
		value = string(r[:longest]) + "…"
	}
	return fmt.Sprintf("%q", value)
}
