package rest

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/session"
	"github.com/heartlock/heartlock/pkg/vault"
)

// call is one request on its way through a handler.
type call struct {
	context.Context
	api    *API
	who    vault.Principal
	w      http.ResponseWriter
	r      *http.Request
	status int  // of success, when it differs from the route's
	fresh  bool // the client's copy is current: answer 304
}

// tag sets the answer's entity tag and reports whether the client has this
// state already, in which case the answer needs no body.
func (c *call) tag(tag string) (current bool) {
	c.w.Header().Set("ETag", tag)
	c.fresh = !session.Unsafe(c.r.Method) && matchesTag(c.r.Header, tag)
	return c.fresh
}

// revisionTag is the entity tag of all secrets of an environment.
func revisionTag(revision int64) string { return `"` + strconv.FormatInt(revision, 10) + `"` }

// versionTag is the entity tag of one secret. The version alone would not do: of
// two secrets that had the same key one after the other, because the first was
// renamed, each has a version 1.
func versionTag(s api.Secret) string { return fmt.Sprintf(`"v%d-%d"`, s.Version, s.Revision) }

// startSession hands the cookies of a session that has just begun to the
// browser, and the mark by which it is known from now on.
func (c *call) startSession(token api.Value) error {
	who, err := c.api.vault.IdentifySession(c, token.Reveal(), c.who.Request)
	if err != nil {
		return err
	}
	c.api.cookies.Start(c.w, token, who.SessionID())
	if mark := c.api.vault.BrowserMark(who); mark.Len() > 0 {
		c.api.cookies.RememberBrowser(c.w, mark)
	}
	return nil
}
