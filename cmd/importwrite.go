package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/client"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/interchange"
)

// writeImport carries the plan out. An environment that has changed since is
// not written to.
func (s *session) writeImport(ctx context.Context, targets []*importTarget) error {
	if p := targets[0].project; p != nil {
		if _, err := s.client.CreateProject(ctx, *p); err != nil {
			return err
		}
		s.tell("Created the project %s.", p.Name)
	}
	written := 0
	for _, t := range targets {
		if t.work() == 0 {
			continue
		}
		if err := s.writeTarget(ctx, t, &written); err != nil {
			if written > 0 {
				s.say("%d secrets were written before the failure and stay; import once more for the rest.", written)
			}
			return err
		}
		s.tell("%s: written (revision %d).", t.environment, t.revision)
	}
	return nil
}

func (s *session) writeTarget(ctx context.Context, t *importTarget, written *int) error {
	if t.missing {
		e, err := s.createTarget(ctx, t)
		if err != nil {
			return err
		}
		t.revision = e.Revision
	}
	for _, request := range bulkRequests(t.changing()) {
		r, err := s.client.BulkSecrets(ctx, t.environment, request, client.IfMatch(fmt.Sprintf(`"%d"`, t.revision)))
		if errors.Is(err, fault.PreconditionFailed) {
			return fault.Wrap(fault.PreconditionFailed, err, fmt.Sprintf("%s was changed by somebody else since the plan was made, and was not written to. Import once more to see the new plan.", t.environment))
		}
		if err != nil {
			return err
		}
		t.revision = r.Revision
		*written += len(request.Set)
		if t.missing {
			t.warnings = append(t.warnings, r.Warnings...)
			s.warn(r.Warnings)
		}
	}
	return nil
}

// createTarget creates the environment. A new project has some already, which
// become what the file says of them.
func (s *session) createTarget(ctx context.Context, t *importTarget) (api.Environment, error) {
	if t.project != nil {
		e, err := s.client.Environment(ctx, t.environment)
		if err == nil && t.described && (e.Name != t.title || e.Protected != t.protected) {
			return s.client.UpdateEnvironment(ctx, t.environment, api.UpdateEnvironment{Name: &t.title, Protected: &t.protected})
		}
		if !errors.Is(err, fault.NotFound) {
			return e, err
		}
	}
	return s.client.CreateEnvironment(ctx, t.environment.Project,
		api.CreateEnvironment{Name: t.title, Slug: t.environment.Slug, Protected: t.protected})
}

// showImport shows the plan: as data where it is all that was asked for, else as
// a message.
func (s *session) showImport(o importOptions, file *interchange.File, targets []*importTarget) error {
	if o.dryRun && o.asJSON {
		return s.printJSON(importAnswer(o, file, targets))
	}
	var lines []string
	lines = append(lines, "Read as "+file.Form+".")
	if p := targets[0].project; p != nil {
		lines = append(lines, "A new project, "+p.Slug+", is created.")
	}
	for _, t := range targets {
		lines = append(lines, t.lines()...)
	}
	if left := unmapped(file, targets); left != "" {
		lines = append(lines, "Not imported: "+left+".")
	}
	plan := strings.Join(lines, "\n")
	switch {
	case o.dryRun:
		if err := s.printLine(plan); err != nil {
			return err
		}
	case o.yes:
		s.tell("%s", plan)
	default: // it is asked about next, so that --quiet does not hide it
		s.say("%s", plan)
	}
	for _, t := range targets {
		s.warn(t.warnings)
	}
	return nil
}

// lines is the plan for one environment.
func (t *importTarget) lines() []string {
	head := t.environment.String()
	if len(t.from) > 0 {
		head += " (from " + strings.Join(t.from, ", ") + ")"
	}
	if t.missing {
		head += ", a new environment"
	}
	lines := []string{head + ":"}
	for _, part := range []struct {
		verb string
		keys []string
	}{{"created", t.created}, {"changed", t.updated}, {"unchanged", t.same}, {"left alone", t.left}} {
		if len(part.keys) > 0 {
			lines = append(lines, fmt.Sprintf("  %d %s: %s", len(part.keys), part.verb, strings.Join(part.keys, ", ")))
		}
	}
	if t.work() == 0 {
		lines = append(lines, "  nothing to write")
	}
	if t.requests > 1 {
		lines = append(lines, fmt.Sprintf("  in %d requests: each is written as a whole or not at all, but not all of them together", t.requests))
	}
	return lines
}

// unmapped names what of the file --map leaves out.
func unmapped(file *interchange.File, targets []*importTarget) string {
	var left []string
	for _, g := range file.Groups {
		taken := len(file.Groups) == 1
		for _, t := range targets {
			for _, from := range t.from {
				taken = taken || from == g.Name
			}
		}
		if !taken {
			left = append(left, g.Name)
		}
	}
	return strings.Join(left, ", ")
}

// The JSON of an import.
type (
	importDocument struct {
		Form         string              `json:"form"`
		DryRun       bool                `json:"dry_run"`
		NewProject   bool                `json:"new_project"`
		Environments []importEnvironment `json:"environments"`
		Notes        []string            `json:"notes"`
	}
	importEnvironment struct {
		Project     string   `json:"project"`
		Environment string   `json:"environment"`
		From        []string `json:"from"`
		New         bool     `json:"new"`
		Revision    int64    `json:"revision"`
		Created     []string `json:"created"`
		Updated     []string `json:"updated"`
		Unchanged   []string `json:"unchanged"`
		LeftAlone   []string `json:"left_alone"`
		Requests    int      `json:"requests"`
		Warnings    []string `json:"warnings"`
	}
)

func importAnswer(o importOptions, file *interchange.File, targets []*importTarget) importDocument {
	d := importDocument{Form: file.Form, DryRun: o.dryRun, NewProject: targets[0].project != nil}
	for _, t := range targets {
		d.Environments = append(d.Environments, importEnvironment{
			Project: t.environment.Project, Environment: t.environment.Slug, From: t.from, New: t.missing,
			Revision: t.revision, Created: t.created, Updated: t.updated, Unchanged: t.same, LeftAlone: t.left,
			Requests: t.requests, Warnings: t.warnings,
		})
	}
	for _, n := range file.Notes {
		d.Notes = append(d.Notes, n.String())
	}
	return d
}
