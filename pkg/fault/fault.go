// Package fault names the ways in which an operation of Heartlock can fail, so
// that every layer agrees on them: the HTTP status that the server answers, the
// exit code that the command line ends with, and the sentence that a person
// reads are all derived from one [Kind].
//
// An [Error] has two halves that never mix. The message is for the person who
// asked: it says what was wrong, where, and what to do, and holds neither a
// secret nor an internal text. The cause is for the log of the operator. Error()
// returns the message alone, so that printing an error can not leak its cause;
// [Detail] gives both, for logs.
//
// Kinds are errors themselves, so a test reads the same on either side of the
// wire: errors.Is(err, fault.NotFound).
package fault

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Kind is a way of failing. The zero Kind is Internal: what nobody classified
// is a defect of ours, and its text is not shown.
type Kind int

// The kinds, each with its HTTP status and exit code (see the table below).
const (
	Internal             Kind = iota // a defect of Heartlock; the person sees a fixed text
	Invalid                          // the input is wrong; the message says which part
	Usage                            // the command line or the configuration is wrong (never sent over HTTP)
	Unauthenticated                  // no credentials, or credentials that are not (or no longer) valid
	Forbidden                        // the caller is known, sees the object, and may not do this
	NotFound                         // the object does not exist, or the caller may not know that it does
	MethodNotAllowed                 // the path exists, the method does not
	Conflict                         // the request contradicts the present state
	Gone                             // the object was there and can not be used any more
	PreconditionFailed               // If-Match names a state that has passed
	TooLarge                         // the request is larger than the server takes
	UnsupportedMediaType             // the body is not in a form that the server reads
	TooManyRequests                  // the caller must wait; see RetryAfter
	Unavailable                      // something that the server needs is away; see RetryAfter
)

// row is one line of the table that maps kinds to the outside world.
type row struct {
	name   string
	status int
	exit   int
}

var table = [...]row{
	Internal:             {"internal error", http.StatusInternalServerError, 1},
	Invalid:              {"invalid", http.StatusBadRequest, 1},
	Usage:                {"wrong use", http.StatusBadRequest, 2},
	Unauthenticated:      {"not signed in", http.StatusUnauthorized, 3},
	Forbidden:            {"not allowed", http.StatusForbidden, 4},
	NotFound:             {"not found", http.StatusNotFound, 5},
	MethodNotAllowed:     {"method not allowed", http.StatusMethodNotAllowed, 1},
	Conflict:             {"conflict", http.StatusConflict, 6},
	Gone:                 {"gone", http.StatusGone, 1},
	PreconditionFailed:   {"changed meanwhile", http.StatusPreconditionFailed, 6},
	TooLarge:             {"too large", http.StatusRequestEntityTooLarge, 1},
	UnsupportedMediaType: {"unsupported media type", http.StatusUnsupportedMediaType, 1},
	TooManyRequests:      {"too many requests", http.StatusTooManyRequests, 7},
	Unavailable:          {"unavailable", http.StatusServiceUnavailable, 7},
}

// Status is the HTTP status that stands for k.
func (k Kind) Status() int { return k.row().status }

// ExitCode is the exit code of a command that failed with k.
func (k Kind) ExitCode() int { return k.row().exit }

// Error makes a Kind usable as the target of errors.Is.
func (k Kind) Error() string { return k.row().name }

func (k Kind) row() row {
	if k < 0 || int(k) >= len(table) {
		return table[Internal]
	}
	return table[k]
}

// FromStatus is the kind that an HTTP status stands for; a status that no kind
// has gives Internal.
func FromStatus(status int) Kind {
	i := slices.IndexFunc(table[:], func(r row) bool { return r.status == status })
	if i < 0 {
		return Internal
	}
	return Kind(i)
}

// Field is one thing wrong with an input.
type Field struct {
	Location string // where: "body.email", "query.limit", "path.key"
	Message  string // what: a sentence without the value
}

// Error is a classified failure. Make one with New, Newf or Wrap.
type Error struct {
	Kind       Kind
	Message    string        // for the person who asked
	Fields     []Field       // which parts of the input, when Kind is Invalid
	RetryAfter time.Duration // when to try again, for TooManyRequests and Unavailable; 0 = unknown
	Cause      error         // for the log only; may be nil
	// SecondFactor is set with Unauthenticated if only the code of the second
	// factor is missing or wrong.
	SecondFactor bool
	// Code is a word for programs that have to tell failures of one Kind apart, such
	// as "authorization_pending"; the API says which there are. Mostly it is empty.
	Code string
}

// New is a failure of kind k with a message for the person who asked.
func New(k Kind, message string) *Error { return &Error{Kind: k, Message: message} }

// Newf is New with a format. The arguments are shown to the person: never pass
// a secret value or a foreign error's text.
func Newf(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Message: fmt.Sprintf(format, args...)}
}

// Wrap is a failure of kind k that has a cause. The message is shown, the cause
// is only logged.
func Wrap(k Kind, cause error, message string) *Error {
	return &Error{Kind: k, Message: message, Cause: cause}
}

// InvalidField is an Invalid failure of exactly one part of the input.
func InvalidField(location, message string) *Error {
	return &Error{
		Kind:    Invalid,
		Message: location + ": " + message,
		Fields:  []Field{{Location: location, Message: message}},
	}
}

// Error returns the message for the person, never the cause.
func (e *Error) Error() string {
	if e.Message == "" {
		return e.Kind.Error()
	}
	return e.Message
}

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Cause }

// Is reports whether target is the kind of e.
func (e *Error) Is(target error) bool {
	k, ok := target.(Kind)
	return ok && k == e.Kind
}

// KindOf is the kind of the outermost Error in err's chain; an error without
// one is Internal.
func KindOf(err error) Kind {
	if e := As(err); e != nil {
		return e.Kind
	}
	if k := Kind(0); errors.As(err, &k) {
		return k
	}
	return Internal
}

// As returns the outermost Error in err's chain, or nil.
func As(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// Detail is the whole story of err for a log: the message and every cause below
// it. It must not be shown to a client of the server.
func Detail(err error) string {
	e := As(err)
	if e == nil {
		return err.Error()
	}
	text := e.Error()
	if own := err.Error(); own != text {
		text = own
	}
	if e.Cause == nil {
		return text
	}
	return text + ": " + Detail(e.Cause)
}
