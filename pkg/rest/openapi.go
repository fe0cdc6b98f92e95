package rest

import (
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

// object is a JSON object of the document. Its members are written in order of
// their names, so the same routes always give the same bytes.
type object = map[string]any

// Document is the OpenAPI 3.1 description of the route table, as JSON. The
// schemas are made from the Go types that are really encoded and decoded.
func Document(version string) ([]byte, error) {
	s := schemas{}
	paths := object{}
	for _, route := range Routes() {
		path := api.Prefix + route.Path
		if paths[path] == nil {
			paths[path] = object{}
		}
		paths[path].(object)[strings.ToLower(route.Method)] = s.operation(route)
	}
	s.of(reflect.TypeFor[api.Problem]())
	document := object{
		"openapi": "3.1.0",
		"info": object{
			"title": "Heartlock", "version": version,
			"description": "A secrets manager. Errors are problem documents (RFC 9457); their detail is for people.",
			"license":     object{"name": "MIT", "identifier": "MIT"},
		},
		"servers": []any{object{"url": "/"}},
		"paths":   paths,
		"components": object{
			"schemas": s,
			"securitySchemes": object{
				"token":   object{"type": "http", "scheme": "bearer", "description": "A personal or service token, hlp_…"},
				"session": object{"type": "apiKey", "in": "cookie", "name": "sessionid", "description": "Unsafe methods also need X-CSRFToken."},
			},
		},
	}
	return json.Marshal(document, json.Deterministic(true), jsontext.WithIndent("  "))
}

// schemas collects the named types of the document.
type schemas object

func (s schemas) operation(route Route) object {
	rule, _ := vault.RuleFor(route.Action)
	op := object{
		"operationId": operationID(route), "summary": route.Summary, "tags": []any{tagOf(route.Path)},
		"description": describe(route.Action, rule), "responses": s.responses(route),
	}
	if !rule.Open {
		op["security"] = []any{object{"token": []any{}}, object{"session": []any{}}}
	}
	var parameters []any
	for _, in := range route.inputs {
		if in.source == fromBody {
			op["requestBody"] = object{"required": true, "content": s.jsonContent(in.typ)}
			continue
		}
		parameters = append(parameters, s.parameter(in))
	}
	parameters = append(parameters, headersOf(route)...)
	if parameters != nil {
		op["parameters"] = parameters
	}
	return op
}

// headersOf are the headers of a request that no field of its input stands for.
func headersOf(route Route) []any {
	header := func(name, description string) any {
		return object{"name": name, "in": "header", "schema": object{"type": "string", "maxLength": 255}, "description": description}
	}
	switch {
	case readsSecrets(route):
		return []any{header("If-None-Match", "The ETag of the answer that the client has; if it is still the same, the answer is 304 without a body.")}
	case route.Method == put && route.Path == secret:
		return []any{header("If-None-Match", "* : only if there is no such secret yet.")}
	case route.Status == created && route.Action != vault.ActionOnboard: // which happens once in any case
		return []any{header("Idempotency-Key", "The same key with the same request gives the same answer for 24 hours. Printable ASCII.")}
	}
	return nil
}

// readsSecrets reports whether the answers of a route have an entity tag.
func readsSecrets(route Route) bool {
	return route.Method == get && (route.Path == secrets || route.Path == secret || route.Path == environment+"export/")
}

func (s schemas) parameter(in input) object {
	p := object{"name": in.name, "in": string(in.source), "description": in.doc}
	if in.source == fromPath {
		p["required"] = true
	}
	if in.source == fromHeader {
		p["schema"] = object{"type": "string"}
	} else {
		p["schema"] = s.of(in.typ)
	}
	return p
}

func (s schemas) responses(route Route) object {
	success := object{"description": "Done."}
	hasAnswer := route.Out != reflect.TypeFor[empty]()
	switch {
	case route.Out == reflect.TypeFor[download]():
		success["content"] = downloadContent()
	case hasAnswer:
		success["content"] = s.jsonContent(route.Out)
	}
	problem := object{
		"description": "What was wrong.",
		"content":     object{api.ProblemType: object{"schema": object{"$ref": "#/components/schemas/Problem"}}},
	}
	all := object{strconv.Itoa(route.Status): success, "default": problem}
	if hasAnswer && route.Status == noContent { // there is an answer, but not always
		all[strconv.Itoa(noContent)], all[strconv.Itoa(ok)] = object{"description": "Done."}, success
	}
	if route.Method == put && route.Path == secret {
		all[strconv.Itoa(created)] = success
	}
	if readsSecrets(route) {
		all["304"] = object{"description": "Nothing has changed since the ETag in If-None-Match."}
	}
	if route.Path == "/ready/" {
		all[strconv.Itoa(fault.Unavailable.Status())] = success
	}
	return all
}

func (s schemas) jsonContent(t reflect.Type) object {
	return object{"application/json": object{"schema": s.of(t)}}
}

// of is the schema of a type: in place for plain ones, by reference for structs.
func (s schemas) of(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[api.Value]():
		return object{"type": "string", "format": "password"}
	case reflect.TypeFor[api.Role]():
		return object{"type": "string", "enum": enum(api.Roles())}
	case reflect.TypeFor[api.EnvironmentAccess]():
		return object{"type": "string", "enum": enum(api.EnvironmentAccesses())}
	case reflect.TypeFor[api.InvitationState]():
		return object{"type": "string", "enum": enum([]api.InvitationState{
			api.InvitationPending, api.InvitationAccepted, api.InvitationRevoked, api.InvitationExpired,
		})}
	case reflect.TypeFor[api.Access]():
		return object{"type": "string", "enum": enum([]api.Access{api.AccessRead, api.AccessWrite})}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.Slice:
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Struct:
		if isOptional(t) {
			return object{"anyOf": []any{s.of(t.Field(1).Type), object{"type": "null"}}}
		}
		name := schemaName(t)
		if _, known := s[name]; !known {
			s[name] = nil // ends the recursion of a type that holds itself
			s[name] = s.structure(t)
		}
		return object{"$ref": "#/components/schemas/" + name}
	default:
		return object{"type": "string"}
	}
}

// isOptional reports whether t is an api.Optional: its value is the second field.
func isOptional(t reflect.Type) bool {
	return t.PkgPath() == reflect.TypeFor[api.Value]().PkgPath() && strings.HasPrefix(t.Name(), "Optional[")
}

func enum[T ~string](values []T) []any {
	var out []any
	for _, v := range values {
		out = append(out, string(v))
	}
	return out
}

func (s schemas) structure(t reflect.Type) object {
	properties, required := object{}, []any{}
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || name == "" {
			continue
		}
		property := s.of(f.Type)
		optional := strings.Contains(options, "omit")
		if f.Type.Kind() == reflect.Pointer && !optional {
			property = object{"anyOf": []any{property, object{"type": "null"}}}
		}
		properties[name] = property
		if !optional && len(f.Index) == 1 { // what an embedded pointer brings may be absent
			required = append(required, name)
		}
	}
	schema := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		schema["required"] = required
	}
	return schema
}

var notName = regexp.MustCompile(`[^A-Za-z0-9]+`)

// schemaName makes "PageProject" of Page[…/api.Project].
func schemaName(t reflect.Type) string {
	outer, inner, generic := strings.Cut(t.Name(), "[")
	if generic {
		inner = inner[strings.LastIndexByte(inner, '.')+1:]
	}
	return notName.ReplaceAllString(outer+inner, "")
}

// operationID makes "get_projects_project_environments" of a route.
func operationID(route Route) string {
	return strings.ToLower(route.Method) + strings.TrimSuffix(notName.ReplaceAllString(route.Path, "_"), "_")
}

func tagOf(path string) string {
	if strings.Contains(path, "/secrets/") {
		return "secrets"
	}
	return strings.Split(path, "/")[1]
}

// describe tells in a sentence who may use a route.
func describe(a vault.Action, rule vault.Rule) string {
	text := "Anyone who is signed in."
	switch {
	case rule.Open && rule.NoToken:
		text = "Anyone, but not with a token."
	case rule.Open:
		text = "Anyone."
	case rule.Superuser && rule.SessionOnly:
		text = "Administrators of the server who are signed in, not by a token."
	case rule.Superuser:
		text = "Administrators of the server."
	case rule.Role != "":
		text = "People from the role " + string(rule.Role) + "."
	case rule.SessionOnly:
		text = "People who are signed in with their password, not by a token."
	}
	if rule.ProtectedRole != "" {
		text += " In a protected environment from " + string(rule.ProtectedRole) + "."
	}
	switch {
	case rule.Open:
	case rule.Token == "":
		text += " Not for service tokens."
	default:
		text += " Service tokens with " + string(rule.Token) + " access."
	}
	return text + " Audited as " + string(a) + "."
}
