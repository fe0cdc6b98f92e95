package mail

import (
	"context"
	"errors"
	netmail "net/mail"
	"strings"
	"time"

	"github.com/heartlock/heartlock/pkg/fault"
)

// Sender takes letters to where they go: an SMTP server, or what stands in for
// one. It is safe for concurrent use.
//
// Errors are of package fault and worded for the administrator of the server:
// what was tried, what came of it and what to do. They hold no password and
// nothing of what a letter says; what a server answered is cleaned of both. An
// error for which IsPermanent holds will not go away by trying again.
type Sender interface {
	// Open makes a connection for any number of letters. tell, which may be nil,
	// is called with a sentence for each step that has worked.
	Open(ctx context.Context, tell func(step string)) (Connection, error)
	// About describes where letters go.
	About() About
	// Budget is the longest that Open and Send take together.
	Budget() time.Duration
}

// Connection is a way to where letters go. It is for one goroutine.
type Connection interface {
	// Send hands over one letter. That it returns nil means that the other side
	// has taken the responsibility for it.
	Send(ctx context.Context, l Letter) error
	// Usable reports whether another letter can be sent after one has failed.
	Usable() bool
	// Close ends it; there is nothing to be done about a failure.
	Close()
}

// About describes a sender to an administrator.
type About struct {
	Backend string // as EMAIL_BACKEND names it, or "disabled"
	Server  string // host:port, or a directory; may be empty
	TLS     string // "none", "starttls" or "tls"; empty if there is no connection
	User    string // who signs in at the server; empty: nobody
	// Delivers says that letters reach the mailboxes of people, and not only a file,
	// the console, or nothing.
	Delivers bool
}

// Mailer words messages and sends them.
type Mailer struct {
	Sender
	From netmail.Address // the sender of all mail
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Letter words a message to a recipient. id is unique to the letter; site is the
// public address of the server, or "".
func (m *Mailer) Letter(id, recipient, site string, message Message) (Letter, error) {
	content, err := Word(message, recipient, site)
	if err != nil {
		return Letter{}, err
	}
	now := time.Now
	if m.Now != nil {
		now = m.Now
	}
	return Letter{Content: content, ID: id, From: m.From, To: recipient, Date: now().UTC(), Domain: m.domain(site)}, nil
}

// domain is the host of the public address, or else that of the sender.
func (m *Mailer) domain(site string) string {
	_, authority, _ := strings.Cut(site, "://")
	host, _, _ := strings.Cut(authority, "/")
	if name, _, found := strings.Cut(host, ":"); found && !strings.HasPrefix(host, "[") {
		host = name
	}
	if host == "" || strings.HasPrefix(host, "[") {
		_, host, _ = strings.Cut(m.From.Address, "@")
	}
	if host == "" {
		return "localhost"
	}
	return host
}

// permanentError is a failure of a letter that will not go away.
type permanentError struct{ error }

func (e permanentError) Unwrap() error { return e.error }

func permanent(err error) error { return permanentError{err} }

// IsPermanent reports whether a letter that has failed like this can be given up:
// the recipient or the content was refused for good. Trouble with the server or
// with its settings is not of that kind, because somebody can mend it.
func IsPermanent(err error) bool {
	var p permanentError
	return errors.As(err, &p)
}

// Disabled is the sender of a server that has none: it refuses.
type Disabled struct{}

// Open implements Sender.
func (Disabled) Open(context.Context, func(string)) (Connection, error) {
	return nil, fault.New(fault.Unavailable, "No mail server is configured. Set EMAIL_HOST, and with it EMAIL_PORT, EMAIL_HOST_USER and EMAIL_HOST_PASSWORD.")
}

// About implements Sender.
func (Disabled) About() About { return About{Backend: "disabled"} }

// Budget implements Sender.
func (Disabled) Budget() time.Duration { return 0 }
