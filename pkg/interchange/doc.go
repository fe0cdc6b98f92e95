// Package interchange reads and writes the files in which programs exchange
// secrets: what Infisical, Doppler, Vault and the tools around it export, .env
// files, flat JSON and YAML, and Heartlock's own export of a project.
//
// # Reading
//
// [Read] takes a whole file and gives either everything in it, grouped by the
// environments or paths that the file knows, or an [*Error] that lists every
// problem by its place and the name of its secret. Nothing is guessed: a file
// that does not have exactly the form of its tool is refused, numbers and
// booleans are taken as their text stands in the file, and what has no text is a
// problem: null always, lists and objects unless [Options.NestedAsJSON] asks for
// their JSON. No error, note or other message holds a
// value. What can be read but may surprise is in [File.Notes].
//
// A name that Heartlock does not take as a key is a problem too, unless
// [Options.RenameKeys] asks for the name that [SuggestKey] makes of it.
//
// # Writing
//
// [WriteProject] writes a project in the form that Read reads back without a
// difference. [Write] writes the secrets of one environment for the programs that
// use them: whatever a value is, they get exactly it, or it is not written.
package interchange

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
)

// MaxBytes is how large a file may be, for reading and for writing.
const MaxBytes = 64 << 20

// Source is the program, or the format, that a file comes from.
type Source string

// The sources that Read knows.
const (
	Infisical Source = "infisical"
	Doppler   Source = "doppler"
	Vault     Source = "vault" // also OpenBao
	Dotenv    Source = "dotenv"
	JSON      Source = "json" // flat, or Heartlock's export of a project
	YAML      Source = "yaml" // flat
)

// Options say how a file is read.
type Options struct {
	RenameKeys   bool // take names that are no keys under the name that SuggestKey makes
	NestedAsJSON bool // take lists and objects as JSON without spaces
	// WithoutFlags is for who is not at a command line: problems do not name the
	// flags of `heartlock import` that stand for the two above.
	WithoutFlags bool
}

// File is what a file holds.
type File struct {
	Form    string  // what it was recognised as: "Heartlock's export of a project"
	Project Head    // of Heartlock's export alone
	Groups  []Group // in the order of the file; at least one
	Notes   []Note  // what may surprise, in the order of the file
}

// Group is the secrets of one environment, or below one path. Name is "" when
// the file does not say what its secrets belong to.
type Group struct {
	Name      string
	Title     string // the environment's name for people, when the file knows it
	Protected bool   // the environment was protected where it comes from
	Secrets   []Secret
}

// Secret is one secret of a file. Comment is nil when the format has none.
type Secret struct {
	Key     string
	Value   api.Value
	Comment *string
	Place   string // where in the file: "line 3"
}

// Note is something to know about one secret, or about the file when Key is "".
type Note struct {
	Place string
	Key   string
	Text  string // a sentence, without a value
}

// String is the note as a person reads it.
func (n Note) String() string { return said(n.Place, n.Key, n.Text) }

// Problem is a reason why a file can not be taken.
type Problem struct {
	Place  string // "line 3", or "" for the file as a whole
	Key    string // the name that stands in the file, as far as it is known
	Reason string // a sentence, without a value
}

// String is the problem as a person reads it.
func (p Problem) String() string { return said(p.Place, p.Key, p.Reason) }

func said(place, key, text string) string {
	switch {
	case place != "" && key != "":
		return place + ", " + key + ": " + text
	case place+key != "":
		return place + key + ": " + text
	}
	return text
}

// Error is everything that is wrong with a file.
type Error struct{ Problems []Problem }

// Error lists the problems.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// shownProblems bounds what a person is shown at once.
const shownProblems = 50

// Fault turns an error of Read into the one for the person who named the file.
func Fault(err error, name string) error {
	var bad *Error
	if !errors.As(err, &bad) {
		return err
	}
	lines := []string{name + " was not taken:"}
	for i, p := range bad.Problems {
		if i == shownProblems {
			lines = append(lines, fmt.Sprintf("  … and %d more.", len(bad.Problems)-i))
			break
		}
		lines = append(lines, "  "+p.String())
	}
	return fault.Wrap(fault.Invalid, err, strings.Join(lines, "\n"))
}

// Read reads a file of a source. The error is an [*Error].
func Read(from Source, data []byte, o Options) (*File, error) {
	if len(data) > MaxBytes {
		return nil, &Error{[]Problem{{Reason: fmt.Sprintf("The file is larger than %d MiB.", MaxBytes>>20)}}}
	}
	r := &reader{options: o}
	var file *File
	switch from {
	case Infisical:
		file = r.infisical(data)
	case Doppler:
		file = r.doppler(data)
	case Vault:
		file = r.vault(data)
	case Dotenv:
		file = r.dotenv(data, quoting{form: "a .env file"})
	case JSON:
		file = r.json(data)
	case YAML:
		file = r.flatYAML(data)
	default:
		r.problem("", "", "No format of the name "+string(from)+" is known.")
	}
	if file != nil {
		r.checkGroups(file)
	}
	if len(r.problems) > 0 {
		return nil, &Error{r.problems}
	}
	file.Notes = r.notes
	return file, nil
}

// reader collects what is wrong with a file and what is to be noted.
type reader struct {
	options  Options
	problems []Problem
	notes    []Note
}

func (r *reader) problem(place, key, reason string) {
	r.problems = append(r.problems, Problem{Place: place, Key: shownName(key), Reason: reason})
}

func (r *reader) note(place, key, text string) {
	r.notes = append(r.notes, Note{Place: place, Key: shownName(key), Text: text})
}

// longestName is how much of a name from a file is shown.
const longestName = 100

// shownName is a name of a file as messages show it: one line, and not endless.
func shownName(name string) string {
	if len(name) > longestName {
		name = strings.ToValidUTF8(name[:longestName], "") + "…"
	}
	quoted := fmt.Sprintf("%q", name)
	if quoted == `"`+name+`"` {
		return name
	}
	return quoted
}

// checkGroups holds every secret to what the server takes, so that all problems
// are known before the first request.
func (r *reader) checkGroups(file *File) {
	if len(file.Groups) == 0 && len(r.problems) == 0 {
		r.problem("", "", "There are no secrets in the file.")
	}
	for i := range file.Groups {
		r.checkGroup(&file.Groups[i])
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int { return cmp.Compare(lineOf(a.Place), lineOf(b.Place)) })
}

func lineOf(place string) (line int) {
	_, _ = fmt.Sscanf(place, "line %d", &line) // 0 for a problem of the whole file
	return line
}

func (r *reader) checkGroup(g *Group) {
	in := ""
	if g.Name != "" {
		in = " of " + shownName(g.Name)
	}
	if n := len(g.Secrets); n > api.MaxSecretsPerEnvironment {
		r.problem("", "", fmt.Sprintf("There are %d secrets%s; an environment holds at most %d.", n, in, api.MaxSecretsPerEnvironment))
		return
	}
	first := make(map[string]string, len(g.Secrets)) // key -> place
	total := 0
	for i := range g.Secrets {
		s := &g.Secrets[i]
		name := s.Key
		r.checkKey(s)
		r.checkContent(s, name)
		if before, twice := first[s.Key]; twice {
			r.problem(s.Place, name, fmt.Sprintf("%s is there already, at %s.", shownName(s.Key), before))
		}
		first[s.Key] = s.Place
		total += s.Value.Len()
	}
	if total > api.MaxEnvironmentBytes {
		r.problem("", "", fmt.Sprintf("The values%s have more than %d MiB together, the most that an environment holds.", in, api.MaxEnvironmentBytes>>20))
	}
}

func (r *reader) checkKey(s *Secret) {
	problem := api.CheckKey(s.Key)
	if problem == "" {
		return
	}
	suggested := SuggestKey(s.Key)
	switch {
	case suggested == "":
		r.problem(s.Place, s.Key, "The name "+problem+".")
	case !r.options.RenameKeys && r.options.WithoutFlags:
		r.problem(s.Place, s.Key, fmt.Sprintf("The name %s. It could be %s.", problem, suggested))
	case !r.options.RenameKeys:
		r.problem(s.Place, s.Key, fmt.Sprintf("The name %s. With --rename-keys it becomes %s.", problem, suggested))
	default:
		r.note(s.Place, s.Key, "It becomes "+suggested+".")
		s.Key = suggested
	}
}

func (r *reader) checkContent(s *Secret, name string) {
	if problem := api.CheckValue(s.Value); problem != "" {
		r.problem(s.Place, name, "The value "+problem+".")
	}
	if s.Comment == nil {
		return
	}
	if problem := api.CheckText(*s.Comment); problem != "" {
		r.problem(s.Place, name, "The comment "+problem+".")
	}
}

// SuggestKey makes a key of a name that is none: every run of characters that a
// key can not hold becomes one underscore, and a digit at the beginning gets one
// before it. It is "" if nothing would be left of the name.
func SuggestKey(name string) string {
	var b strings.Builder
	gap := false
	for i := range len(name) {
		c := name[i]
		if c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' {
			if gap || b.Len() == 0 && '0' <= c && c <= '9' {
				b.WriteByte('_')
			}
			b.WriteByte(c)
			gap = false
		} else {
			gap = b.Len() > 0
		}
	}
	if key := b.String(); api.CheckKey(key) == "" && strings.Trim(key, "_") != "" {
		return key
	}
	return ""
}
