// Package diagnosis finds what is wrong with an installation: its settings, its
// files, its database, its encryption key and the values that are stored.
//
// It only looks. It makes no file and no directory, generates no key, migrates
// nothing and writes to no database, so it may run before a server's first
// start, and beside running servers. No finding holds a secret.
package diagnosis

import (
	"context"
	"time"

	"github.com/heartlock/heartlock/pkg/config"
)

// Severity says how much a finding matters.
type Severity string

// The severities. With an error, the server does not work, loses data or is open
// to others; with a warning it works, but not as it should.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Finding is one thing that is wrong.
type Finding struct {
	Severity Severity `json:"severity"`
	Subject  string   `json:"subject"` // a setting, a file, or a part of the installation such as "database"
	Message  string   `json:"message"` // what is wrong and what to do
}

// Passed is something that was looked at and is right.
type Passed struct {
	Subject string `json:"subject"`
	Message string `json:"message"`
}

// Report is the result of Examine.
type Report struct {
	OK       bool      `json:"ok"` // nothing was found
	Findings []Finding `json:"findings"`
	Passed   []Passed  `json:"passed"`
}

// Options say how thoroughly to look.
type Options struct {
	// Deploy holds the installation to what production needs.
	Deploy bool
	// DecryptAll opens every stored value and every former version, however many
	// there are; otherwise a sample of the present ones is opened.
	DecryptAll bool
}

// patience bounds what a database may take to answer a question that is quick to
// answer. Reading the whole of it is bounded by the caller's context alone.
const patience = 15 * time.Second

// The subjects that are no settings.
const (
	subjectSettings = "settings"
	subjectDatabase = "database"
	subjectSchema   = "schema"
	subjectSetup    = "set-up"
	subjectKey      = "encryption key"
	subjectValues   = "stored values"
	subjectClock    = "clock"
	subjectRotation = "key rotation"
	subjectServers  = "servers"
	subjectBackups  = "backups"
	subjectMail     = "mail"
)

// Examine looks at the installation that the settings describe. What can not be
// looked at, such as a database that is away, is a finding; an error is returned
// only when ctx ends.
func Examine(ctx context.Context, cfg *config.Server, o Options) (Report, error) {
	e := &examination{config: cfg, options: o}
	e.settings()
	e.database(ctx)
	if err := ctx.Err(); err != nil {
		return Report{}, context.Cause(ctx)
	}
	return Report{OK: len(e.findings) == 0, Findings: append([]Finding{}, e.findings...), Passed: append([]Passed{}, e.passed...)}, nil
}

// examination collects what is found.
type examination struct {
	config   *config.Server
	options  Options
	findings []Finding
	passed   []Passed
}

func (e *examination) found(severity Severity, subject, message string) {
	e.findings = append(e.findings, Finding{severity, subject, message})
}

func (e *examination) right(subject, message string) {
	e.passed = append(e.passed, Passed{subject, message})
}
