package web

import (
	"errors"
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
)

// functions are what templates can call beside the methods of their data.
func functions(files *assets, mark func(string) string) template.FuncMap {
	return template.FuncMap{
		"mark":      mark,
		"asset":     files.address,
		"icon":      icon,
		"args":      args,
		"csrfField": func() string { return csrfField },
		"onceField": func() string { return onceField },
		"when":      when,
		"day":       func(t time.Time) string { return t.UTC().Format(time.DateOnly) },
		"count":     count,
		"bytes":     bytesText,
		"name":      personName,
		"actor":     actorName,
		"join":      func(parts []string) string { return strings.Join(parts, ", ") },
		"lower":     strings.ToLower,
		"title":     capital,
	}
}

// icon is a picture of templates/parts/icons.html. It says nothing to who can not
// see it: the text beside it does.
func icon(name string) template.HTML {
	return template.HTML(`<svg class="icon" aria-hidden="true"><use href="#icon-` + template.HTMLEscapeString(name) + `"/></svg>`) //nolint:gosec // the name is escaped
}

// args makes the data of a part: names and values in turn.
func args(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, errors.New("args: a name without a value")
	}
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("args: %v is no name", pairs[i])
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}

// when is a moment, in UTC; a script turns it into the reader's own time.
func when(t any) template.HTML {
	var at time.Time
	switch t := t.(type) {
	case time.Time:
		at = t
	case *time.Time:
		if t == nil {
			return "never"
		}
		at = *t
	}
	at = at.UTC()
	return template.HTML(`<time datetime="` + at.Format(time.RFC3339) + `">` + at.Format("2006-01-02 15:04 UTC") + `</time>`) //nolint:gosec // made of digits
}

// count is a number with its noun: "1 secret", "2 secrets".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if before, ok := strings.CutSuffix(noun, "y"); ok && !strings.ContainsAny(before[max(0, len(before)-1):], "aeiou") {
		noun = strings.TrimSuffix(noun, "y") + "ie"
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// personName is how a page names a person.
func personName(a *api.Account) string {
	if full := strings.TrimSpace(a.FirstName + " " + a.LastName); full != "" {
		return full
	}
	return a.Email
}

// actorName is how a page names who has done something.
func actorName(a api.Actor) string {
	switch {
	case a.Kind == api.ActorSystem:
		return "the server"
	case a.Kind == api.ActorServiceToken:
		return "token " + a.Name
	case a.Name == "":
		return "nobody known"
	}
	return a.Name
}

func capital(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
