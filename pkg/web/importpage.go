package web

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

func (s *Site) importRoutes() []route {
	const path = tablePath + "import/"
	return []route{
		{method: get, pattern: path, action: vault.ActionListSecrets, serve: showImport},
		{method: post, pattern: path, action: vault.ActionWriteSecret, serve: previewImport},
		{method: post, pattern: path + "apply/", action: vault.ActionWriteSecret, serve: applyImport},
	}
}

// importPage takes a text and shows what it would change.
//
// The text has to get from the preview to what applies it. It travels in the field
// that the person has typed it into, which the preview shows again: it can be put
// right there, nothing of it is kept on the server, and it is what this person has just
// sent, and no value of the environment. The page, like every other, is not stored
// (Cache-Control: no-store). No other page gives values back that were typed.
type importPage struct {
	standing
	Base    string // address of the environment's pages
	Text    string
	Format  string // as chosen
	Read    string // the format that the text was read as
	Formats []importFormat
	// Problems are why the text can not be taken, each with its line.
	Problems      []string
	Overwrite     bool
	DeleteMissing bool
	Preview       *api.ImportResult
}

// Empty reports that nothing would happen.
func (p importPage) Empty() bool {
	return len(p.Preview.Created)+len(p.Preview.Updated)+len(p.Preview.Deleted) == 0
}

// Written is how many secrets would get a value.
func (p importPage) Written() int { return len(p.Preview.Created) + len(p.Preview.Updated) }

// Digest tells a text with its choices apart from others. It goes along with the
// preview, so that a text that was changed after it is previewed again.
func (p importPage) Digest() string {
	choices := fmt.Sprintf("%s %t %t ", p.Format, p.Overwrite, p.DeleteMissing)
	sum := sha256.Sum256([]byte(choices + p.Text))
	return hex.EncodeToString(sum[:])
}

// importFormat is a choice of a format.
type importFormat struct{ Name, Title string }

// guessFormat is the choice to find the format in the text.
const guessFormat = "auto"

func importFormats() []importFormat {
	return []importFormat{
		{guessFormat, "Recognise it"},
		{api.FormatDotenv, ".env (NAME=value)"},
		{api.FormatJSON, "JSON (one flat object)"},
		{api.FormatYAML, "YAML (NAME: value)"},
	}
}

// Title is how the format that the text was read as is called.
func (p importPage) Title() string {
	for _, f := range p.Formats {
		if f.Name == p.Read {
			return f.Title
		}
	}
	return p.Read
}

func showImport(v *visit) error {
	nav, err := v.projectNav("secrets")
	if err != nil {
		return err
	}
	data, err := v.importPage(nav)
	if err != nil {
		return err
	}
	return v.showImport(nav, data)
}

func (v *visit) showImport(nav *projectNav, data importPage) error {
	title := "Import into " + nav.Environment.Name
	return v.show(page{Template: "import", Title: title, Project: nav, Data: data})
}

// importPage is the page with what its form has sent.
func (v *visit) importPage(nav *projectNav) (data importPage, err error) {
	data = importPage{Base: nav.Here(), Format: guessFormat, Formats: importFormats()}
	if data.standing, err = v.standing(nav); err != nil || v.input == nil {
		return data, err
	}
	data.Text = v.value("text").Reveal()
	if format := v.text("format"); slices.Contains(api.ImportFormats(), format) {
		data.Format = format
	}
	data.Read = data.Format
	if data.Format == guessFormat {
		data.Read = recognise(data.Text)
	}
	data.Overwrite, data.DeleteMissing = v.checked("overwrite"), v.checked("delete_missing")
	return data, nil
}

// request is what the form asks for.
func (p importPage) request(dryRun bool) api.ImportRequest {
	return api.ImportRequest{Text: api.NewValue(p.Text), DryRun: dryRun, Overwrite: p.Overwrite, DeleteMissing: p.DeleteMissing}
}

// previewImport shows what the text would change, by keys alone.
func previewImport(v *visit) error {
	nav, err := v.projectNav("secrets")
	if err != nil {
		return err
	}
	data, err := v.importPage(nav)
	if err != nil {
		return err
	}
	return v.previewImport(nav, data)
}

func (v *visit) previewImport(nav *projectNav, data importPage) error {
	if strings.TrimSpace(data.Text) == "" {
		missing := fault.InvalidField("body.text", "paste a text or choose a file")
		return v.again(missing, func(v *visit) error { return v.showImport(nav, data) })
	}
	result, err := v.vault.Import(v, v.who, v.environment(), data.Read, data.request(true), vault.Match{})
	if err != nil {
		return v.again(err, func(v *visit) error { return v.showImport(nav, data.refused(err)) })
	}
	data.Preview = &result
	return v.showImport(nav, data)
}

// refused adds the problems of a text that can not be read.
func (p importPage) refused(err error) importPage {
	f := fault.As(err)
	for _, field := range f.Fields {
		if field.Location == "body.text" {
			p.Problems = append(p.Problems, sentence(field.Message))
		}
	}
	return p
}

// applyImport takes the text if the environment is still as the preview found it, so
// that nothing happens that nobody has seen. If it is not, there is a new preview.
func applyImport(v *visit) error {
	nav, err := v.projectNav("secrets")
	if err != nil {
		return err
	}
	data, err := v.importPage(nav)
	if err != nil {
		return err
	}
	if v.input.Get("previewed") != data.Digest() {
		changed := fault.New(fault.PreconditionFailed, "The text or a choice was changed after the preview. This is what would change now.")
		return v.again(changed, func(v *visit) error { return v.previewImport(nav, data) })
	}
	seen, err := v.seen("seen")
	if err == nil {
		_, err = v.vault.Import(v, v.who, v.environment(), data.Read, data.request(false), vault.Match{Revision: seen})
	}
	if err == nil {
		return v.done(nav.Here(), "imported")
	}
	return v.again(changedSince(err, nav.Environment.Name), func(v *visit) error {
		if fault.KindOf(err) == fault.PreconditionFailed {
			return v.previewImport(nav, data)
		}
		return v.showImport(nav, data.refused(err))
	})
}

var (
	dotenvLine = regexp.MustCompile(`^(export[ \t]+)?[A-Za-z_][A-Za-z0-9_.-]*=`)
	yamlLine   = regexp.MustCompile(`^["']?[A-Za-z_][A-Za-z0-9_.-]*["']?:([ \t]|$)`)
)

// recognise tells the format of a text by its first line that says something. What is
// none of the three is read as .env, whose problems name the lines. The page says what
// it was taken for.
func recognise(text string) string {
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		line = strings.TrimSpace(line)
		switch {
		case line == "", line[0] == '#', line == "---":
		case line[0] == '{', line[0] == '[':
			return api.FormatJSON
		case !dotenvLine.MatchString(line) && yamlLine.MatchString(line):
			return api.FormatYAML
		default:
			return api.FormatDotenv
		}
	}
	return api.FormatDotenv
}
