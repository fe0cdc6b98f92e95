package interchange

import (
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
		r.problem(place, name, "Its value is a list. Only text, numbers, true and false can be taken.")
	default:
		r.problem(place, name, "Its value is an object. Only text, numbers, true and false can be taken.")
	}
	return api.Value{}, false
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

// groupOf is the one group without a name, or none if there are no secrets.
func groupOf(secrets []Secret) []Group {
	if len(secrets) == 0 {
		return nil
	}
	return []Group{{Secrets: secrets}}
}

// dotenv reads .env text by the grammar of package dotenv. A name that stands
// there twice is a problem: which one counts is up to the reader.
func (r *reader) dotenv(data []byte, form string) *File {
	entries, err := dotenv.Parse(data)
	if bad := (*dotenv.Error)(nil); errors.As(err, &bad) {
		for _, p := range bad.Problems {
			r.problem(fmt.Sprintf("line %d", p.Line), "", sentence(p.Reason))
		}
	}
	secrets := make([]Secret, 0, len(entries))
	for _, e := range entries {
		place := fmt.Sprintf("line %d", e.Line)
		secrets = append(secrets, Secret{Key: e.Key, Value: api.NewValue(e.Value), Place: place})
	}
	for _, d := range dotenv.Doubts(data) {
		r.note(fmt.Sprintf("line %d", d.Line), "", sentence(d.Reason))
	}
	return &File{Form: form, Groups: groupOf(secrets)}
}

// sentence makes one of a reason such as "it is not NAME=value".
func sentence(reason string) string {
	return strings.ToUpper(reason[:1]) + reason[1:] + "."
}
