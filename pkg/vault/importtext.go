package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/interchange"
	"github.com/heartlock/heartlock/pkg/store"
)

// Import takes the secrets of a text of one of api.ImportFormats into an
// environment, all or none, as one revision. What is there with another value stays
// unless in.Overwrite is set, and is named in the answer. With DryRun nothing
// happens. A text that can not be read in full is fault.Invalid: its fields name
// every problem by line and key, never by a value.
//
// To be told what of a text is there already is a way to find values out, so where
// something was compared and not written, that is audited as a comparison.
func (v *Vault) Import(ctx context.Context, p Principal, ref EnvironmentRef, format string, in api.ImportRequest, m Match) (answer api.ImportResult, err error) {
	if m.Absent || m.Version != nil {
		return answer, fault.InvalidField("header", "an import can depend on the environment's ETag alone, such as If-Match: \"12\"")
	}
	m.Exists = false // the environment does, or it is not found
	edits, notes, err := importEdits(format, in.Text)
	if err != nil {
		return answer, err
	}
	err = v.write(ctx, p, func(ctx context.Context, tx store.Tx) error {
		view, err := v.environment(ctx, tx.Queries, p, ActionWriteSecret, ref)
		if err != nil {
			return err
		}
		if err := m.check(view, nil); err != nil {
			return err
		}
		changes, kept, err := v.planImport(ctx, tx, p, view, edits, in)
		if err != nil {
			return err
		}
		answer = importResult(summarise(changes, view.Revision), kept, notes)
		compared := len(kept) + len(answer.Unchanged)
		if answer.DryRun = in.DryRun; in.DryRun {
			compared += len(answer.Updated)
		} else if answer.Revision, err = v.apply(ctx, tx, p, view, changes); err != nil {
			return err
		}
		if compared == 0 {
			return nil
		}
		return v.record(ctx, tx, p, event{
			action: ActionCompareSecrets, projectID: view.ProjectID, environment: view.Slug, target: "*",
			detail: map[string]string{"imported_from": format, "dry_run": strconv.FormatBool(in.DryRun), "count": strconv.Itoa(compared)},
		})
	})
	if err != nil { // what could not be recorded is not told
		return api.ImportResult{}, err
	}
	return answer, nil
}

// importEdits reads the text.
func importEdits(format string, text api.Value) ([]edit, []api.ImportNote, error) {
	if !slices.Contains(api.ImportFormats(), format) {
		return nil, nil, unknownFormat(api.ImportFormats())
	}
	if text.Len() > api.MaxImportBytes {
		return nil, nil, fault.Newf(fault.TooLarge, "The text is larger than %d MiB.", api.MaxImportBytes>>20)
	}
	file, err := interchange.Read(interchange.Source(format), []byte(text.Reveal()), interchange.Options{WithoutFlags: true})
	if err != nil {
		return nil, nil, unreadable(err)
	}
	if len(file.Groups) != 1 {
		return nil, nil, fault.InvalidField("body.text", "holds the secrets of several environments; `heartlock import` takes such a file")
	}
	detail := map[string]string{"imported_from": format}
	edits := make([]edit, len(file.Groups[0].Secrets))
	for i := range edits {
		s := &file.Groups[0].Secrets[i]
		edits[i] = edit{key: s.Key, value: &s.Value, comment: s.Comment, detail: detail}
	}
	notes := make([]api.ImportNote, len(file.Notes))
	for i, n := range file.Notes {
		notes[i] = api.ImportNote{Place: n.Place, Key: n.Key, Text: n.Text}
	}
	return edits, notes, nil
}

// shownProblems bounds how many problems are answered at once.
const shownProblems = 100

func problemLines(problems []interchange.Problem) []string {
	var lines []string
	for i, p := range problems {
		if i == shownProblems {
			return append(lines, fmt.Sprintf("and %d more.", len(problems)-i))
		}
		lines = append(lines, p.String())
	}
	return lines
}

// unreadable words what is wrong with a text.
func unreadable(err error) error {
	var bad *interchange.Error
	if !errors.As(err, &bad) {
		return fault.Wrap(fault.Internal, err, "the text could not be read")
	}
	lines := problemLines(bad.Problems)
	e := fault.New(fault.Invalid, "The text was not taken:\n"+strings.Join(lines, "\n"))
	for _, line := range lines {
		e.Fields = append(e.Fields, fault.Field{Location: "body.text", Message: line})
	}
	return e
}

// planImport works out what the import changes, and which keys keep another value.
func (v *Vault) planImport(ctx context.Context, tx store.Tx, p Principal, view *store.EnvironmentView, edits []edit, in api.ImportRequest) (changes []change, kept []string, err error) {
	if in.DeleteMissing {
		if edits, err = addRemovals(ctx, tx, view, edits); err != nil {
			return nil, nil, err
		}
	}
	found, err := secretsByKeys(ctx, tx.Queries, view.ID, keysOf(edits))
	if err != nil {
		return nil, nil, err
	}
	if changes, err = v.plan(ctx, tx, p, view, found, edits); err != nil || in.Overwrite {
		return changes, nil, err
	}
	changes = slices.DeleteFunc(changes, func(c change) bool {
		if c.effect == updated {
			kept = append(kept, c.row.Key)
		}
		return c.effect == updated
	})
	slices.Sort(kept)
	return changes, kept, nil
}

// addRemovals adds the removal of everything that is not in the text.
func addRemovals(ctx context.Context, tx store.Tx, view *store.EnvironmentView, edits []edit) ([]edit, error) {
	present, err := tx.SecretsOf(ctx, &view.Environment)
	if err != nil {
		return nil, err
	}
	stays := make(map[string]bool, len(edits))
	for _, e := range edits {
		stays[e.key] = true
	}
	all := slices.Clone(edits) // the transaction may be run again
	for i := range present {
		if !stays[present[i].Key] {
			all = append(all, edit{key: present[i].Key, remove: true, detail: edits[0].detail})
		}
	}
	return all, nil
}

func importResult(r api.BulkResult, kept []string, notes []api.ImportNote) api.ImportResult {
	if kept == nil {
		kept = []string{}
	}
	return api.ImportResult{
		Revision: r.Revision, Created: r.Created, Updated: r.Updated, Unchanged: r.Unchanged, Kept: kept, Deleted: r.Deleted,
		Warnings: r.Warnings, Notes: notes,
	}
}
