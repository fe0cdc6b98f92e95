package web

import (
	"maps"
	"slices"
	"strings"

	"github.com/heartlock/heartlock/pkg/api"
)

// auditRow is an event of an audit trail as a page shows it.
type auditRow struct {
	api.AuditEvent
	Refused bool
	// Said is what happened, without who did it: "read API_KEY in production".
	Said []said
	// Project is what the event belongs to, where the trail is that of the server.
	Project *auditProject
	Facts   []auditFact
}

// Who is who did it, at the beginning of a sentence. An address stays as it is.
func (r auditRow) Who() string {
	if r.Actor.Kind == api.ActorUser && r.Actor.Name != "" {
		return r.Actor.Name
	}
	return capital(actorName(r.Actor))
}

// said is a part of a sentence. A name is shown as one.
type said struct {
	Text string
	Name bool // of a person, an environment, …
	Code bool // of a secret, a key
}

// auditProject is a project that the trail of the server tells of, or told of.
type auditProject struct{ ID, Name string }

// auditFact is something that an event says beside its sentence.
type auditFact struct{ Name, Text string }

// auditRows makes the rows of a page of events. The projects name what the events of
// the server's trail belong to; one that is not among them goes by its id.
func auditRows(events []api.AuditEvent, projects []auditProject) []auditRow {
	rows := make([]auditRow, len(events))
	for i := range events {
		e := &events[i]
		rows[i] = auditRow{AuditEvent: *e, Refused: e.Outcome == outcomeRefused, Said: sentenceOf(e), Facts: factsOf(e)}
		if e.Project == "" {
			continue
		}
		rows[i].Project = &auditProject{e.Project, e.Project}
		if at := slices.IndexFunc(projects, func(p auditProject) bool { return p.ID == e.Project }); at >= 0 {
			rows[i].Project.Name = projects[at].Name
		}
	}
	return rows
}

// The outcomes of events.
const (
	outcomeSuccess = "success"
	outcomeRefused = "refused"
)

// sentenceOf says what happened.
func sentenceOf(e *api.AuditEvent) []said {
	w := wordsOf(e)
	text := w.did
	if e.Outcome == outcomeRefused {
		text = "tried to " + w.to
	}
	var parts []said
	for _, p := range split(text) {
		if part := sayPiece(p, e); part.Text != "" {
			parts = append(parts, part)
		} else if last := len(parts) - 1; last >= 0 {
			parts[last].Text = strings.TrimSuffix(parts[last].Text, " ")
		}
	}
	if e.Environment != "" && e.Environment != e.Target {
		parts = append(parts, said{Text: " in "}, said{Text: e.Environment, Name: true})
	}
	if e.Outcome == outcomeRefused {
		parts = append(parts, said{Text: " and was refused"})
	}
	return parts
}

func sayPiece(p piece, e *api.AuditEvent) said {
	switch {
	case p.name == "target" && e.Target != "" && e.Target != "*":
		return said{Text: e.Target, Code: strings.HasPrefix(e.Action, "secret."), Name: !strings.HasPrefix(e.Action, "secret.")}
	case p.name == "count" && e.Detail["count"] != "":
		return said{Text: e.Detail["count"]}
	}
	return said{Text: p.text}
}

// factsOf lists what is known of an event beside its sentence.
func factsOf(e *api.AuditEvent) []auditFact {
	facts := []auditFact{{"Action", e.Action}}
	add := func(name, text string) {
		if text != "" {
			facts = append(facts, auditFact{name, text})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Detail)) {
		add(capital(strings.ReplaceAll(name, "_", " ")), e.Detail[name])
	}
	kind, id, _ := strings.Cut(e.Credential, ":")
	add("Signed in by", strings.TrimSpace(kind+" "+id))
	add("Address", e.IP)
	add("Program", e.UserAgent)
	add("Request", e.RequestID)
	add("Event", e.ID)
	return facts
}
