package interchange

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
)

// The first lines of Heartlock's export of a project.
const (
	projectFormat  = "heartlock project export"
	projectVersion = 1
)

// Project is a project as its export holds it. The export names no times, ids or
// people, so that equal projects make equal files.
type Project struct {
	Head
	Environments []Group // Name is the slug, Title the name; every secret has a comment
}

// Head is what a project is called.
type Head struct {
	Slug        string
	Name        string
	Description string
}

// The document, in the order of its members.
type (
	projectDocument struct {
		Format       string                `json:"format"`
		Version      int                   `json:"version"`
		Project      projectHead           `json:"project"`
		Environments []environmentDocument `json:"environments"`
	}
	projectHead struct {
		Slug        string `json:"slug"`
		Name        string `json:"name"`
		Description string `json:"description"`
	}
	environmentDocument struct {
		Slug      string           `json:"slug"`
		Name      string           `json:"name"`
		Protected bool             `json:"protected"`
		Secrets   []secretDocument `json:"secrets"`
	}
	secretDocument struct {
		Key     string    `json:"key"`
		Value   api.Value `json:"value"`
		Comment string    `json:"comment"`
	}
)

// WriteProject is the export of a project: JSON that Read takes back as
// [JSON]. An export larger than MaxBytes, which Read would refuse, is
// fault.TooLarge.
func WriteProject(p Project) ([]byte, error) {
	d := projectDocument{
		Format: projectFormat, Version: projectVersion,
		Project:      projectHead(p.Head),
		Environments: make([]environmentDocument, len(p.Environments)),
	}
	for i, g := range p.Environments {
		e := environmentDocument{Slug: g.Name, Name: g.Title, Protected: g.Protected, Secrets: make([]secretDocument, len(g.Secrets))}
		for j, s := range g.Secrets {
			e.Secrets[j] = secretDocument{Key: s.Key, Value: s.Value}
			if s.Comment != nil {
				e.Secrets[j].Comment = *s.Comment
			}
		}
		d.Environments[i] = e
	}
	var b bytes.Buffer
	if err := api.Encode(&b, d); err != nil {
		return nil, err
	}
	out := jsontext.Value(b.Bytes())
	if err := out.Indent(jsontext.WithIndent("  ")); err != nil {
		return nil, err
	}
	if len(out)+1 > MaxBytes {
		return nil, fault.Newf(fault.TooLarge, "The export would be larger than %d MiB. Export the environments one by one.", MaxBytes>>20)
	}
	return append(out, '\n'), nil
}

// project reads what WriteProject writes. Members of other names are a problem:
// they would be lost.
func (r *reader) project(root *node) *File {
	r.members(root, "the export", "format", "version", "project", "environments")
	if v := root.get("version"); v == nil || v.kind != number || v.text != fmt.Sprint(projectVersion) {
		r.problem(root.place(), "", fmt.Sprintf("It is not of version %d, the only one that this version of Heartlock reads.", projectVersion))
		return nil
	}
	list := root.get("environments")
	if list == nil || list.kind != array {
		r.problem(root.place(), "", "It has no list of environments.")
		return nil
	}
	file := &File{Form: "Heartlock's export of a project", Project: r.head(root)}
	seen := map[string]bool{}
	for _, item := range list.items {
		g, ok := r.environment(item)
		if ok && seen[g.Name] {
			r.problem(item.place(), g.Name, "This environment is there twice.")
		}
		seen[g.Name] = true
		file.Groups = append(file.Groups, g)
	}
	return file
}

// head reads what the export says of the project itself.
func (r *reader) head(root *node) (h Head) {
	n := root.get("project")
	if n == nil || n.kind != object {
		r.problem(root.place(), "", "It does not say of which project it is.")
		return h
	}
	r.members(n, "project", "slug", "name", "description")
	for _, field := range []struct {
		name  string
		to    *string
		check func(string) string
	}{{"slug", &h.Slug, api.CheckSlug}, {"name", &h.Name, api.CheckName}, {"description", &h.Description, api.CheckText}} {
		value := n.get(field.name)
		if value == nil || value.kind != text {
			r.problem(n.place(), "project", "It has no text in "+field.name+".")
			continue
		}
		if problem := field.check(value.text); problem != "" {
			r.problem(value.place(), "project", "The "+field.name+" "+problem+".")
		}
		*field.to = value.text
	}
	return h
}

func (r *reader) environment(n *node) (Group, bool) {
	slug, name, protected, secrets := n.get("slug"), n.get("name"), n.get("protected"), n.get("secrets")
	if slug == nil || slug.kind != text || api.CheckSlug(slug.text) != "" || name == nil || name.kind != text ||
		protected == nil || protected.kind != truth || secrets == nil || secrets.kind != array {
		r.problem(n.place(), "", "This environment lacks its slug, its name, whether it is protected, or its secrets.")
		return Group{}, false
	}
	r.members(n, slug.text, "slug", "name", "protected", "secrets")
	if problem := api.CheckName(name.text); problem != "" {
		r.problem(name.place(), slug.text, "The name of the environment "+problem+".")
	}
	g := Group{Name: slug.text, Title: name.text, Protected: protected.text == "true"}
	for _, item := range secrets.items {
		key, value, comment := item.get("key"), item.get("value"), item.get("comment")
		if key == nil || key.kind != text || value == nil || value.kind != text || comment == nil || comment.kind != text {
			r.problem(item.place(), slug.text, "A secret lacks its key, its value or its comment.")
			continue
		}
		r.members(item, key.text, "key", "value", "comment")
		g.Secrets = append(g.Secrets, Secret{Key: key.text, Value: textValue(value), Comment: &comment.text, Place: key.place()})
	}
	return g, true
}

// members records names that an object should not have.
func (r *reader) members(n *node, of string, known ...string) {
	for _, m := range n.members {
		if !slices.Contains(known, m.name) {
			r.problem(m.place(), of, "It has a field "+shownName(m.name)+", which is not known.")
		}
	}
}
