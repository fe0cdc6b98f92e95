package interchange

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// maxDepth bounds how deep the objects of a file may lie in one another.
const maxDepth = 32

// kind is what a node of a document is.
type kind int

const (
	object kind = iota + 1
	array
	text
	number // its text is as in the file
	truth  // a boolean; "true" or "false"
	null
)

// node is a part of a document, with its place.
type node struct {
	kind    kind
	text    string // of text, number and truth
	members []member
	items   []*node
	line    int
}

// member is one name of an object with what stands there, in the file's order.
type member struct {
	name  string
	value *node
	line  int // of the name
}

func (n *node) place() string  { return fmt.Sprintf("line %d", n.line) }
func (m member) place() string { return fmt.Sprintf("line %d", m.line) }

// get is the member of this name, or nil.
func (n *node) get(name string) *node {
	for _, m := range n.members {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// all reports whether every member's value is as asked.
func (n *node) all(ok func(*node) bool) bool {
	for _, m := range n.members {
		if !ok(m.value) {
			return false
		}
	}
	return true
}

// appendJSON writes the node as JSON without spaces, members in the order of the
// file and numbers as they stand there.
func (n *node) appendJSON(b []byte) []byte {
	switch n.kind {
	case text:
		b, _ = jsontext.AppendQuote(b, n.text) // it is UTF-8, or was refused
	case number:
		if !jsontext.Value(n.text).IsValid() { // YAML has others, such as 0x1F and .inf
			return (&node{kind: text, text: n.text}).appendJSON(b)
		}
		b = append(b, n.text...)
	case truth:
		b = append(b, strings.ToLower(n.text)...)
	case null:
		b = append(b, "null"...)
	case array:
		b = append(b, '[')
		for i, item := range n.items {
			if i > 0 {
				b = append(b, ',')
			}
			b = item.appendJSON(b)
		}
		b = append(b, ']')
	case object:
		b = append(b, '{')
		for i, m := range n.members {
			if i > 0 {
				b = append(b, ',')
			}
			b, _ = jsontext.AppendQuote(b, m.name)
			b = m.value.appendJSON(append(b, ':'))
		}
		b = append(b, '}')
	}
	return b
}

func isObject(n *node) bool { return n.kind == object }

// document reads one JSON document strictly (RFC 8259 with unique names and
// valid UTF-8), or records why it can not and returns nil.
func (r *reader) document(data []byte) *node {
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	p := &jsonReader{decoder: jsontext.NewDecoder(bytes.NewReader(data)), data: data}
	root, err := p.value()
	if err == nil {
		if _, end := p.decoder.ReadToken(); end != io.EOF {
			err = errAfter
		}
	}
	if err != nil {
		r.problem(fmt.Sprintf("line %d", p.lineAt(p.failedAt(err))), "", jsonReason(err, data))
		return nil
	}
	return root
}

var (
	errAfter = errors.New("there is something after the document")
	errDepth = errors.New("too deep")
)

// jsonReason says why a document can not be read, never what stands there.
func jsonReason(err error, data []byte) string {
	message := err.Error()
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		return "The file is empty."
	case errors.Is(err, errAfter):
		return "There is something after the end of the JSON document."
	case errors.Is(err, errDepth):
		return fmt.Sprintf("It is nested more than %d levels deep.", maxDepth)
	case errors.Is(err, jsontext.ErrDuplicateName):
		return "The same name stands twice in one object."
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "The JSON document ends too early."
	case strings.Contains(message, "UTF-8"), strings.Contains(message, "surrogate"):
		return "It is not valid UTF-8."
	}
	return "It is not valid JSON."
}

// jsonReader turns tokens into nodes and counts lines as it goes.
type jsonReader struct {
	decoder *jsontext.Decoder
	data    []byte
	offset  int64 // up to where lines are counted
	line    int   // line breaks before offset
}

// lineAt is the line of an offset, which must not lie before an earlier one.
func (p *jsonReader) lineAt(offset int64) int {
	offset = min(offset, int64(len(p.data)))
	if offset > p.offset {
		p.line += bytes.Count(p.data[p.offset:offset], []byte("\n"))
		p.offset = offset
	}
	return p.line + 1
}

func (p *jsonReader) failedAt(err error) int64 {
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		return syntax.ByteOffset
	}
	return p.decoder.InputOffset()
}

func (p *jsonReader) value() (*node, error) {
	token, err := p.decoder.ReadToken()
	if err != nil {
		return nil, err
	}
	n := &node{line: p.lineAt(p.decoder.InputOffset())}
	switch token.Kind() {
	case '"':
		n.kind, n.text = text, token.String()
	case '0':
		n.kind, n.text = number, token.String()
	case 't', 'f':
		n.kind, n.text = truth, token.String()
	case 'n':
		n.kind = null
	case '{':
		n.kind = object
		return n, p.object(n)
	default: // '[': the decoder hands out no closing one here
		n.kind = array
		return n, p.array(n)
	}
	return n, nil
}

func (p *jsonReader) object(n *node) error {
	if p.decoder.StackDepth() > maxDepth {
		return errDepth
	}
	for p.decoder.PeekKind() != '}' {
		name, err := p.decoder.ReadToken()
		if err != nil {
			return err
		}
		m := member{name: name.String(), line: p.lineAt(p.decoder.InputOffset())}
		if m.value, err = p.value(); err != nil {
			return err
		}
		n.members = append(n.members, m)
	}
	_, err := p.decoder.ReadToken()
	return err
}

func (p *jsonReader) array(n *node) error {
	if p.decoder.StackDepth() > maxDepth {
		return errDepth
	}
	for p.decoder.PeekKind() != ']' {
		item, err := p.value()
		if err != nil {
			return err
		}
		n.items = append(n.items, item)
	}
	_, err := p.decoder.ReadToken()
	return err
}
