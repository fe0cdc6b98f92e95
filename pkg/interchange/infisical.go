package interchange

import (
	"bytes"
	"fmt"
	"strings"
)

// infisicalFields are the members that `infisical export --format=json` gives a
// secret, over the versions of the command (its type SingleEnvironmentVariable).
func infisicalField(name string) bool {
	switch name {
	case "key", "value", "comment", "type", "_id", "id", "workspace", "secretPath", "tags", "Etag", "skipMultilineEncoding":
		return true
	}
	return false
}

// infisical reads `infisical export --format=json`, a list of secrets, and
// --format=dotenv or dotenv-export, and the .env file that the dashboard saves.
// The commands put values into single quotes and do not escape: what they make of
// a value with a single quote or a line break is no line that can be read, and is
// then a problem here rather than half a value. The dashboard puts them into
// double quotes, with escapes, and comments on lines before them.
func (r *reader) infisical(data []byte) *File {
	if !looksLikeJSON(data) {
		return r.infisicalText(data)
	}
	root := r.document(data)
	if root == nil {
		return nil
	}
	if root.kind != array {
		r.problem(root.place(), "", "It is not a list of secrets, which 'infisical export --format=json' writes. For another JSON file use 'import json'.")
		return nil
	}
	file := &File{Form: "Infisical's JSON export"}
	var secrets []Secret
	for i, item := range root.items {
		if s, ok := r.infisicalSecret(i, item); ok {
			secrets = append(secrets, s)
		}
	}
	file.Groups = groupOf(secrets)
	return file
}

// infisicalText reads the dotenv forms, and turns CSV and YAML away. In newer
// versions of Infisical's command they are lossy: a line break may stand in them
// as the two characters \n.
func (r *reader) infisicalText(data []byte) *File {
	before := len(r.problems)
	data = stripExportDashes(data)
	file := r.dotenv(data, quoting{
		form: "Infisical's dotenv export", quotes: `'"`,
		lacks: "Its value is not in quotes, in which Infisical puts every one. For another .env file use 'import dotenv'.",
	})
	if len(r.problems) > before {
		r.problem("", "", "A file from 'infisical export' that can not be read line by line, and its YAML and CSV, are best exported once more with --format=json, which keeps every value as it is.")
		return file
	}
	if bytes.HasPrefix(data, []byte("#")) || bytes.Contains(data, []byte("\n#")) {
		r.note("", "", "Its comments are not taken over; those of --format=json are.")
	}
	for _, g := range file.Groups {
		for _, s := range g.Secrets {
			if containsBackslashN(s.Value.Reveal()) {
				r.note(s.Place, s.Key, `It holds the two characters \n, which Infisical may have written for a line break; --format=json keeps them apart.`)
			}
		}
	}
	return file
}

func (r *reader) infisicalSecret(i int, item *node) (Secret, bool) {
	if item.kind != object {
		r.problem(item.place(), "", fmt.Sprintf("Entry %d of the list is no secret of Infisical.", i+1))
		return Secret{}, false
	}
	key, value := item.get("key"), item.get("value")
	if key == nil || key.kind != text || value == nil {
		r.problem(item.place(), "", fmt.Sprintf("Entry %d of the list lacks the key or the value of a secret.", i+1))
		return Secret{}, false
	}
	s := Secret{Key: key.text, Place: key.place()}
	for _, m := range item.members {
		if !infisicalField(m.name) {
			r.problem(m.place(), key.text, "Infisical gives a secret no field "+shownName(m.name)+".")
		}
	}
	var ok bool
	s.Value, ok = r.scalar(key.place(), key.text, value)
	if comment := item.get("comment"); comment != nil && comment.kind == text && comment.text != "" {
		s.Comment = &comment.text
	}
	r.infisicalNotes(s, item)
	return s, ok
}

// infisicalNotes says what of a secret has no place in Heartlock.
func (r *reader) infisicalNotes(s Secret, item *node) {
	if t := item.get("type"); t != nil && t.text == "personal" {
		r.note(s.Place, s.Key, "It is the personal value of one person, not the shared one.")
	}
	if tags := item.get("tags"); tags != nil && len(tags.items) > 0 {
		r.note(s.Place, s.Key, "Its tags are not taken over.")
	}
	if path := item.get("secretPath"); path != nil && path.kind == text && path.text != "" && path.text != "/" {
		r.note(s.Place, s.Key, "It lies in the folder "+shownName(path.text)+", which is not taken over.")
	}
}

// stripExportDashes turns the lines of --format=dotenv-export, which newer
// versions begin with "export -- ", into those of other .env files. A line break
// stays where it is, so that lines keep their numbers.
func stripExportDashes(data []byte) []byte {
	lines := bytes.SplitAfter(data, []byte("\n"))
	for i, line := range lines {
		if rest, ok := bytes.CutPrefix(line, []byte("export -- ")); ok {
			lines[i] = append([]byte("export "), rest...)
		}
	}
	return bytes.Join(lines, nil)
}

func containsBackslashN(value string) bool { return strings.Contains(value, `\n`) }
