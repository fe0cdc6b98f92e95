package web

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/vault"
)

func (s *Site) apiDocsRoutes() []route {
	return []route{{method: get, pattern: "/api/docs/", action: vault.ActionMeta, serve: s.showAPIDocs}}
}

// apiDocs is the OpenAPI document (version 3.1) as a page shows it: the operations
// by their topic, and the types that they speak of.
type apiDocs struct {
	Groups []apiGroup
	Types  []apiType
}

type apiGroup struct {
	Name       string
	Operations []apiOperation
}

type apiOperation struct {
	ID, Method, Path, Summary string
	Who                       string // may do it, and what is audited
	Open                      bool   // needs no credentials
	Parameters                []apiField
	Body                      apiShape
	Answers                   []apiAnswer
}

type apiField struct {
	Name, In, Description string
	Required              bool
	Shape                 apiShape
}

// apiShape is the type of something: Ref names one of the types, if it is one.
type apiShape struct{ Text, Ref string }

type apiAnswer struct {
	Status, Description string
	Shape               apiShape
}

type apiType struct {
	Name   string
	Fields []apiField
}

// document is what is read of the OpenAPI document.
type document struct {
	Paths      map[string]map[string]documentOperation `json:"paths"`
	Components struct {
		Schemas map[string]schema `json:"schemas"`
	} `json:"components"`
}

type documentOperation struct {
	ID          string                `json:"operationId"`
	Summary     string                `json:"summary"`
	Description string                `json:"description"`
	Tags        []string              `json:"tags"`
	Security    []map[string][]string `json:"security"`
	Parameters  []struct {
		Name        string `json:"name"`
		In          string `json:"in"`
		Description string `json:"description"`
		Required    bool   `json:"required"`
		Schema      schema `json:"schema"`
	} `json:"parameters"`
	Body struct {
		Content map[string]struct {
			Schema schema `json:"schema"`
		} `json:"content"`
	} `json:"requestBody"`
	Responses map[string]struct {
		Description string `json:"description"`
		Content     map[string]struct {
			Schema schema `json:"schema"`
		} `json:"content"`
	} `json:"responses"`
}

type schema struct {
	Ref         string            `json:"$ref"`
	Type        typeNames         `json:"type"`
	Format      string            `json:"format"`
	Description string            `json:"description"`
	Enum        []any             `json:"enum"`
	Items       *schema           `json:"items"`
	Properties  map[string]schema `json:"properties"`
	Required    []string          `json:"required"`
	AnyOf       []schema          `json:"anyOf"`
	OneOf       []schema          `json:"oneOf"`
	Additional  any               `json:"additionalProperties"`
}

// typeNames is "type" of a schema: one name, or several.
type typeNames []string

// UnmarshalJSON reads either form.
func (t *typeNames) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '[' {
		return json.Unmarshal(text, (*[]string)(t))
	}
	one := ""
	err := json.Unmarshal(text, &one)
	*t = typeNames{one}
	return err
}

// newAPIDocs reads a document.
func newAPIDocs(read func() ([]byte, error)) (*apiDocs, error) {
	text, err := read()
	if err != nil {
		return nil, err
	}
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, err
	}
	groups := map[string][]apiOperation{}
	for path, methods := range d.Paths {
		for method, operation := range methods {
			group := "other"
			if len(operation.Tags) > 0 {
				group = operation.Tags[0]
			}
			groups[group] = append(groups[group], operation.page(strings.ToUpper(method), path))
		}
	}
	docs := new(apiDocs)
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		operations := groups[name]
		slices.SortFunc(operations, func(a, b apiOperation) int {
			return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(methodOrder(a.Method), methodOrder(b.Method)))
		})
		docs.Groups = append(docs.Groups, apiGroup{Name: name, Operations: operations})
	}
	for _, name := range slices.Sorted(maps.Keys(d.Components.Schemas)) {
		docs.Types = append(docs.Types, apiType{Name: name, Fields: d.Components.Schemas[name].fields()})
	}
	return docs, nil
}

func methodOrder(method string) int {
	return slices.Index([]string{"GET", "POST", "PUT", "PATCH", "DELETE"}, method)
}

func (o documentOperation) page(method, path string) apiOperation {
	operation := apiOperation{
		ID: o.ID, Method: method, Path: strings.TrimPrefix(path, api.Prefix), Summary: o.Summary, Who: o.Description, Open: len(o.Security) == 0,
	}
	for _, p := range o.Parameters {
		operation.Parameters = append(operation.Parameters, apiField{
			Name: p.Name, In: p.In, Description: p.Description, Required: p.Required, Shape: p.Schema.shape(),
		})
	}
	for _, content := range o.Body.Content {
		operation.Body = content.Schema.shape()
	}
	for _, status := range slices.Sorted(maps.Keys(o.Responses)) {
		response := o.Responses[status]
		answer := apiAnswer{Status: status, Description: response.Description}
		if status == "default" {
			answer.Status = "otherwise"
		}
		for _, content := range response.Content {
			answer.Shape = content.Schema.shape()
		}
		operation.Answers = append(operation.Answers, answer)
	}
	return operation
}

func (s schema) fields() []apiField {
	fields := make([]apiField, 0, len(s.Properties))
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		property := s.Properties[name]
		fields = append(fields, apiField{
			Name: name, Description: property.Description, Required: slices.Contains(s.Required, name), Shape: property.shape(),
		})
	}
	return fields
}

// shape words a schema in a line.
func (s schema) shape() apiShape {
	switch {
	case s.Ref != "":
		name := s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]
		return apiShape{Text: name, Ref: name}
	case s.Items != nil:
		of := s.Items.shape()
		return apiShape{Text: "list of " + of.Text, Ref: of.Ref}
	case len(s.AnyOf)+len(s.OneOf) > 0:
		return alternatives(append(slices.Clone(s.AnyOf), s.OneOf...))
	case len(s.Enum) > 0:
		return apiShape{Text: enumText(s.Enum)}
	case s.Additional != nil && len(s.Properties) == 0:
		return apiShape{Text: "object with any names"}
	}
	text := strings.Join(s.Type, " or ")
	if s.Format != "" {
		text += " (" + s.Format + ")"
	}
	return apiShape{Text: text}
}

func alternatives(list []schema) apiShape {
	var all apiShape
	var texts []string
	for _, one := range list {
		shape := one.shape()
		texts = append(texts, shape.Text)
		all.Ref = cmp.Or(all.Ref, shape.Ref)
	}
	all.Text = strings.Join(texts, " or ")
	return all
}

func enumText(values []any) string {
	texts := make([]string, 0, len(values))
	for _, value := range values {
		if text, ok := value.(string); ok {
			texts = append(texts, `"`+text+`"`)
		}
	}
	return strings.Join(texts, ", ")
}

// showAPIDocs shows the document for people.
func (s *Site) showAPIDocs(v *visit) error {
	docs, err := s.docs()
	if err != nil {
		return err
	}
	return v.show(page{Template: "api-docs", Title: "API documentation", Compressed: true, Data: struct {
		*apiDocs
		Base, Prefix string
	}{docs, v.address(), api.Prefix}})
}
