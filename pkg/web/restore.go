package web

import (
	"fmt"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/vault"
)

// restorePage is what would happen if an environment was put back to a revision.
type restorePage struct {
	Base     string
	Revision int64
	Change   *api.EnvironmentRevision // that made the revision
	Preview  api.BulkResult
}

// Empty reports that nothing would happen.
func (p restorePage) Empty() bool {
	return len(p.Preview.Created)+len(p.Preview.Updated)+len(p.Preview.Deleted) == 0
}

// previewRestore shows what restoring would change. It is asked for with a form,
// because it compares values, which is recorded.
func previewRestore(v *visit) error {
	data, nav, err := v.restorePreview()
	if err != nil {
		return v.again(err, showRevision)
	}
	return v.showRestore(data, nav)
}

func (v *visit) showRestore(data restorePage, nav *projectNav) error {
	title := fmt.Sprintf("Restore revision %d of %s", data.Revision, nav.Environment.Name)
	return v.show(page{Template: "restore", Title: title, Project: nav, Data: data})
}

func (v *visit) restorePreview() (data restorePage, nav *projectNav, err error) {
	if data.Revision, err = v.number("revision"); err != nil {
		return data, nil, err
	}
	if nav, err = v.projectNav("secrets"); err != nil {
		return data, nil, err
	}
	data.Base = nav.Here()
	in := api.RestoreRequest{Revision: &data.Revision, DryRun: true}
	if data.Preview, err = v.vault.Restore(v, v.who, v.environment(), in, vault.Match{}); err != nil {
		return data, nil, err
	}
	data.Change, err = v.changeAt(v.environment(), data.Revision)
	return data, nav, err
}

// restoreRevision puts the environment back, if it is still as it was when the preview
// was made; if not, there is a new preview.
func restoreRevision(v *visit) error {
	revision, err := v.number("revision")
	if err != nil {
		return err
	}
	seen, err := v.seen("seen")
	if err != nil {
		return v.again(err, showRevision)
	}
	_, err = v.vault.Restore(v, v.who, v.environment(), api.RestoreRequest{Revision: &revision}, vault.Match{Revision: seen})
	if err != nil {
		nav, failed := v.projectNav("secrets")
		if failed != nil {
			return failed
		}
		return v.again(changedSince(err, nav.Environment.Name), func(v *visit) error {
			data, nav, failed := v.restorePreview()
			if failed != nil {
				return showRevision(v)
			}
			return v.showRestore(data, nav)
		})
	}
	return v.doneInEnvironment("history/", "environment-restored")
}
