package api

import "time"

// TestMail sends a mail at once, to see whether that works.
type TestMail struct {
	To *string `json:"to,omitzero"` // one address; by default the caller's own
}

// MailTest is what came of a test mail.
type MailTest struct {
	Sent    bool     `json:"sent"`    // the mail server has taken it; whether it arrives is another matter
	To      string   `json:"to"`      // the address
	Backend string   `json:"backend"` // as in MailStatus
	Server  string   `json:"server"`  // as in MailStatus
	Steps   []string `json:"steps"`   // what has worked, in sentences
	Detail  string   `json:"detail"`  // what came of it, or what failed and what to do
}

// MailStatus is the state of the mail of an installation.
type MailStatus struct {
	Backend  string       `json:"backend"`   // "smtp", "console", "dummy", "filebased", "locmem" or "disabled"
	Server   string       `json:"server"`    // host:port, or the directory; empty if there is none
	Security string       `json:"security"`  // of the connection: "starttls", "tls" or "none"; empty if there is none
	User     string       `json:"user"`      // who signs in at the server; empty: nobody
	From     string       `json:"from"`      // the sender of all mail
	Waiting  int64        `json:"waiting"`   // mails that are to be sent
	OldestAt *time.Time   `json:"oldest_at"` // when the oldest of them was queued
	Sent     int64        `json:"sent"`      // within the last 30 days
	Failing  []QueuedMail `json:"failing"`   // up to 50 of those that wait after a failure, the oldest first
	GivenUp  []QueuedMail `json:"given_up"`  // up to 50 of the last 30 days, the newest first
}

// QueuedMail is a mail that was not sent. What it says is not told.
type QueuedMail struct {
	ID            string     `json:"id"`
	Kind          string     `json:"kind"` // such as "invitation"
	Recipient     string     `json:"recipient"`
	CreatedAt     time.Time  `json:"created_at"`
	Attempts      int        `json:"attempts"`
	LastError     string     `json:"last_error"` // what failed and what to do
	NextAttemptAt *time.Time `json:"next_attempt_at"`
	GivenUpAt     *time.Time `json:"given_up_at"`
}
