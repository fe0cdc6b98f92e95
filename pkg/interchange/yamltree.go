package interchange

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// yaml reads one YAML document into the nodes of JSON, or records why it can not
// and returns nil. What JSON has no word for is refused: aliases, tags of one's
// own, names that are no text.
func (r *reader) yaml(data []byte) *node {
	if !utf8.Valid(data) {
		r.problem("", "", "It is not valid UTF-8.")
		return nil
	}
	var document, second yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		r.problem("", "", "The file is empty.")
		return nil
	case err != nil:
		r.problem(yamlPlace(err), "", "It is neither valid JSON nor valid YAML.")
		return nil
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		r.problem("", "", "There is more than one YAML document in the file.")
		return nil
	}
	before := len(r.problems)
	root := r.yamlNode(document.Content[0], "", 0)
	if len(r.problems) > before {
		return nil
	}
	return root
}

// yamlPlace takes the line out of an error of the library, whose text may repeat
// what stands there.
func yamlPlace(err error) string {
	found := regexp.MustCompile(`line (\d+):`).FindStringSubmatch(err.Error())
	if found == nil {
		return ""
	}
	if line, err := strconv.Atoi(found[1]); err == nil {
		return fmt.Sprintf("line %d", line)
	}
	return ""
}

func (r *reader) yamlNode(y *yaml.Node, name string, depth int) *node {
	n := &node{line: y.Line, text: y.Value}
	switch {
	case depth >= maxDepth:
		r.problem(n.place(), name, fmt.Sprintf("It is nested more than %d levels deep.", maxDepth))
	case y.Kind == yaml.AliasNode || y.Anchor != "":
		r.problem(n.place(), name, "It uses an alias or an anchor of YAML, which is not read.")
	case y.Kind == yaml.MappingNode && y.Tag == "!!map":
		n.kind = object
		r.yamlMembers(n, y, name, depth)
	case y.Kind == yaml.SequenceNode && y.Tag == "!!seq":
		n.kind = array
		for _, item := range y.Content {
			n.items = append(n.items, r.yamlNode(item, name, depth+1))
		}
	case y.Kind == yaml.ScalarNode:
		n.kind = yamlScalar(y.Tag)
	}
	if n.kind == 0 && depth < maxDepth && y.Anchor == "" && y.Kind != yaml.AliasNode {
		r.problem(n.place(), name, "Its type in YAML is not read. Put text into quotes.")
	}
	return n
}

func yamlScalar(tag string) kind {
	switch tag {
	case "!!str":
		return text
	case "!!int", "!!float":
		return number
	case "!!bool":
		return truth
	case "!!null":
		return null
	case "!!timestamp":
		return text
	}
	return 0
}

func (r *reader) yamlMembers(n *node, y *yaml.Node, path string, depth int) {
	seen := map[string]bool{}
	for i := 0; i+1 < len(y.Content); i += 2 {
		key := y.Content[i]
		m := member{name: key.Value, line: key.Line}
		switch {
		case key.Kind != yaml.ScalarNode || key.Tag != "!!str" || key.Anchor != "":
			r.problem(m.place(), path, "A name below it is no text. Put it into quotes.")
			continue
		case seen[key.Value]:
			r.problem(m.place(), key.Value, "The same name stands twice in one object.")
		}
		seen[key.Value] = true
		m.value = r.yamlNode(y.Content[i+1], key.Value, depth+1)
		n.members = append(n.members, m)
	}
}
