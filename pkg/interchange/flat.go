package interchange

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/dotenv"
)

// flat takes the members of an object as secrets.
func (r *reader) flat(n *node) []Secret {
	secrets := make([]Secret, 0, len(n.members))
	for _, m := range n.members {
		if v, ok := r.scalar(m.place(), m.name, m.value); ok {
			secrets = append(secrets, Secret{Key: m.name, Value: v, Place: m.place()})
		}
	}
	return secrets
}

// scalar is the text of a value, or records that it has none.
func (r *reader) scalar(place, name string, n *node) (api.Value, bool) {
	switch n.kind {
	case text, number, truth:
		return api.NewValue(n.text), true
	case null:
		r.problem(place, name, "It has no value (null). Give it one, or take it out of the file.")
	case array:
		return r.nested(place, name, "a list", n)
	default:
		return r.nested(place, name, "an object", n)
	}
	return api.Value{}, false
}

// nested is the JSON of an object or a list, if that was asked for.
func (r *reader) nested(place, name, what string, n *node) (api.Value, bool) {
	if !r.options.NestedAsJSON {
		hint := "; with --nested-as-json it is taken as JSON."
		if r.options.WithoutFlags {
			hint = ". Write it as JSON in quotes if that is what you want."
		}
		r.problem(place, name, "Its value is "+what+". Only text, numbers, true and false are taken"+hint)
		return api.Value{}, false
	}
	text := n.appendJSON(nil)
	r.note(place, name, "Its value is "+what+", taken as JSON.")
	return api.NewValue(string(text)), true
}

// looksLikeJSON reports whether a file begins as an object or a list.
func looksLikeJSON(data []byte) bool {
	start := strings.TrimLeft(strings.TrimPrefix(string(data[:min(len(data), 4096)]), "\uFEFF"), " \t\r\n")
	return strings.HasPrefix(start, "{") || strings.HasPrefix(start, "[")
}

// json reads {"KEY": "value"}, or Heartlock's own export.
func (r *reader) json(data []byte) *File {
	root := r.document(data)
	if root == nil {
		return nil
	}
	if root.kind != object {
		r.problem(root.place(), "", `It is not an object such as {"KEY": "value"}.`)
		return nil
	}
	if format := root.get("format"); format != nil && format.kind == text && format.text == projectFormat {
		return r.project(root)
	}
	return &File{Form: "a flat JSON object", Groups: groupOf(r.flat(root))}
}

// flatYAML reads KEY: value, one below the other.
func (r *reader) flatYAML(data []byte) *File {
	root := r.yaml(data)
	if root == nil {
		return nil
	}
	if root.kind != object {
		r.problem(root.place(), "", "It is not a list of names with their values, such as KEY: \"value\".")
		return nil
	}
	return &File{Form: "flat YAML", Groups: groupOf(r.flat(root))}
}

// groupOf is the one group without a name, or none if there are no secrets.
func groupOf(secrets []Secret) []Group {
	if len(secrets) == 0 {
		return nil
	}
	return []Group{{Secrets: secrets}}
}

// quoting is how a program writes values in .env text.
type quoting struct {
	form   string // what is read
	quotes string // in one of these every value stands; "" for any or none
	lacks  string // what is said of one that does not
}

// dotenv reads .env text by the grammar of package dotenv. A name that stands
// there twice is a problem: which one counts is up to the reader.
func (r *reader) dotenv(data []byte, q quoting) *File {
	entries, err := dotenv.Parse(data)
	if bad := (*dotenv.Error)(nil); errors.As(err, &bad) {
		for _, p := range bad.Problems {
			r.problem(fmt.Sprintf("line %d", p.Line), "", sentence(p.Reason))
		}
	}
	secrets := make([]Secret, 0, len(entries))
	lines := bytes.Split(data, []byte("\n"))
	for _, e := range entries {
		place := fmt.Sprintf("line %d", e.Line)
		if _, value, _ := bytes.Cut(lines[e.Line-1], []byte("=")); q.quotes != "" && !bytes.ContainsAny(value[:min(len(value), 1)], q.quotes) {
			r.problem(place, e.Key, q.lacks)
		}
		secrets = append(secrets, Secret{Key: e.Key, Value: api.NewValue(e.Value), Place: place})
	}
	for _, d := range dotenv.Doubts(data) {
		r.note(fmt.Sprintf("line %d", d.Line), "", sentence(d.Reason))
	}
	return &File{Form: q.form, Groups: groupOf(secrets)}
}

// sentence makes one of a reason such as "it is not NAME=value".
func sentence(reason string) string {
	return strings.ToUpper(reason[:1]) + reason[1:] + "."
}
