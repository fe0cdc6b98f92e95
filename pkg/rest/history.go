package rest

import (
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

func historyRoutes() []Route {
	return []Route{
		define(get, secret+"versions/", vault.ActionListSecrets, ok, "The versions of a secret that are kept, newest first; also of a deleted one.", listVersions),
		define(post, secret+"rollback/", vault.ActionWriteSecret, ok, "Give a secret the value of a former version, as a new version; brings a deleted one back.", rollBack),
		define(get, environment+"revisions/", vault.ActionListSecrets, ok, "The changes of an environment's secrets, newest first.", listRevisions),
		define(post, environment+"restore/", vault.ActionRestoreEnvironment, ok, "Put an environment back to a former revision, as one new revision.", restore),
	}
}

// moment are the parameters that name a former state of an environment.
type moment struct {
	Revision *int64     `query:"revision" doc:"As it was at this revision of the environment."`
	At       *time.Time `query:"at" doc:"As it was at this time."`
	Deleted  bool       `query:"deleted" doc:"true lists the deleted secrets that can be brought back, without values."`
}

// isPast reports whether another state than the present one is asked for.
func (m moment) isPast() bool { return m.Revision != nil || m.At != nil }

func (m moment) check(values bool) error {
	switch {
	case m.Revision != nil && m.At != nil:
		return fault.InvalidField("query.at", "can not be given together with revision")
	case m.Deleted && (values || m.isPast()):
		return fault.InvalidField("query.deleted", "can not be given together with values, revision or at")
	}
	return nil
}

// listFormer lists what is not the present state.
func listFormer(c *call, ref vault.EnvironmentRef, m moment, values bool) (api.SecretList, error) {
	if m.Deleted {
		return c.api.vault.DeletedSecrets(c, c.who, ref)
	}
	moment := vault.Moment{Revision: m.Revision, At: m.At}
	if c.r.Header.Get("If-None-Match") != "" {
		revision, err := c.api.vault.RevisionAt(c, c.who, ref, moment)
		if err != nil || c.tag(revisionTag(revision)) {
			return api.SecretList{}, err
		}
	}
	list, err := c.api.vault.SecretsAt(c, c.who, ref, moment, values)
	if err == nil {
		c.tag(revisionTag(list.Revision))
	}
	return list, err
}

func listVersions(c *call, in struct {
	secretRef
	page
},
) (api.Page[api.SecretVersion], error) {
	return c.api.vault.SecretVersions(c, c.who, in.ref(), in.Cursor, in.Limit)
}

func rollBack(c *call, in struct {
	secretRef
	precondition
	withBody[api.RollbackRequest]
},
) (api.Secret, error) {
	s, err := c.api.vault.RollBack(c, c.who, in.ref(), in.Body, in.Match)
	if err == nil {
		c.tag(versionTag(s))
	}
	return s, err
}

func listRevisions(c *call, in struct {
	environmentRef
	page
},
) (api.Page[api.EnvironmentRevision], error) {
	return c.api.vault.Revisions(c, c.who, in.ref(), in.Cursor, in.Limit)
}

func restore(c *call, in struct {
	environmentRef
	precondition
	withBody[api.RestoreRequest]
},
) (api.BulkResult, error) {
	result, err := c.api.vault.Restore(c, c.who, in.ref(), in.Body, in.Match)
	if err == nil {
		c.tag(revisionTag(result.Revision))
	}
	return result, err
}
