package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/session"
	"github.com/heartlock/heartlock/pkg/vault"
)

// Short names for the tables.
const (
	get  = http.MethodGet
	post = http.MethodPost
)

// route is one page, or one thing that a form on a page does.
type route struct {
	method  string // get or post
	pattern string // as http.ServeMux has it, with a slash at its end
	// action is what the page asks for. Its line in the policy table says who is let
	// in; who must sign in first is sent there and comes back.
	action vault.Action
	serve  func(*visit) error
	// acts: the GET changes something, so it is not answered to HEAD.
	acts bool
}

// routes is the table of all pages.
func (s *Site) routes() []route {
	var table []route
	for _, part := range [][]route{s.entryRoutes(), s.ssoRoutes(), s.apiDocsRoutes(), s.cliRoutes(), s.projectRoutes(), s.accountRoutes(), s.adminRoutes(), s.secretsRoutes(), s.secretRoutes(), s.transferRoutes()} {
		table = append(table, part...)
	}
	return table
}

// Pages lists the patterns of all pages that can be looked at, such as
// "/projects/{project}/", for tests that must miss none.
func Pages() []string {
	var patterns []string
	for _, r := range new(Site).routes() {
		if r.method == get && !r.acts {
			patterns = append(patterns, r.pattern)
		}
	}
	return patterns
}

// Forms lists everything that forms do, by the patterns that they are sent to, with
// what is asked for, for tests that must miss none.
func Forms() map[string]vault.Action {
	patterns := map[string]vault.Action{}
	for _, r := range new(Site).routes() {
		if r.method == post {
			patterns[r.pattern] = r.action
		}
	}
	return patterns
}

// mount has the mux serve a route, with and without the last slash: a redirect
// would lose what a form sends.
func (s *Site) mount(r route) {
	h := func(w http.ResponseWriter, request *http.Request) { s.visit(taken(w), request, r) }
	if r.pattern == "/" {
		s.mux.HandleFunc(r.method+" /{$}", h)
		return
	}
	s.mux.HandleFunc(r.method+" "+r.pattern+"{$}", h)
	s.mux.HandleFunc(r.method+" "+strings.TrimSuffix(r.pattern, "/"), h)
}

// visit takes a request to the page that it is for.
func (s *Site) visit(w http.ResponseWriter, r *http.Request, to route) {
	v := s.newVisit(w, r)
	err := s.enter(v, to) //nolint:contextcheck // a visit is the request's context
	if err == nil {
		err = to.serve(v)
	}
	if err == nil {
		return
	}
	v.recordRefusal(r.Context(), err)
	switch {
	case fault.KindOf(err) == fault.Unauthenticated && v.who.IsAnonymous():
		v.signInFirst()
	case v.who.LacksSecondFactor() && fault.KindOf(err) == fault.Forbidden:
		redirect(w, secondFactorPage)
	default:
		s.fail(v, err) //nolint:contextcheck // v is the request's context
	}
}

// recordRefusal has the audit trail say what a known caller was refused: once for each
// request, whether the answer is an error page or that of the form. If it can not be
// recorded, he is refused all the same.
func (v *visit) recordRefusal(ctx context.Context, err error) {
	if v.refused || !errors.Is(err, fault.Forbidden) {
		return
	}
	v.refused = true
	if failed := v.vault.RecordRefusal(ctx, v.who, v.action, err); failed != nil {
		v.site.options.Log.WarnContext(ctx, "a refusal could not be recorded",
			"request_id", v.who.Request.ID, "error", fault.Detail(failed))
	}
}

const (
	signInPage       = "/login/"
	secondFactorPage = "/account/second-factor/"
)

// enter lets a request in: it finds who asks, checks what a form sends against
// CSRF, and asks the policy whether such a caller may ask at all.
func (s *Site) enter(v *visit, to route) error {
	if to.acts && v.r.Method != get {
		v.w.Header().Set("Allow", get)
		return fault.New(fault.MethodNotAllowed, "This page can only be read.")
	}
	unsafe := session.Unsafe(v.r.Method)
	if unsafe {
		if err := s.options.Cookies.CheckOrigin(v.r); err != nil {
			return err
		}
	}
	if err := v.identify(); err != nil {
		return err
	}
	if err := vault.Admit(v.who, to.action); err != nil {
		return err
	}
	if !unsafe {
		return nil
	}
	if err := v.readForm(); err != nil {
		return err
	}
	if v.who.SessionID() == "" {
		return nil // CheckOrigin is what protects a form of somebody unknown
	}
	return s.options.Cookies.CheckFormToken(v.input.Get(session.CSRFField), v.who.SessionID())
}

// signInFirst sends the browser to the sign-in page, which sends it back. What a
// form has sent is lost, so it comes back to the page with the form.
func (v *visit) signInFirst() {
	back, notice := v.r.URL.RequestURI(), "session-over"
	if session.Unsafe(v.r.Method) {
		back, notice = refererPath(v.r), "session-over-form"
	}
	if cookies := v.site.options.Cookies; cookies.Token(v.r) != "" { // who was signed in until now is told why he is asked
		cookies.LeaveNotice(v.w, notice)
		cookies.End(v.w)
	}
	target := signInPage
	if back != "/" {
		target += "?next=" + url.QueryEscape(back)
	}
	redirect(v.w, target)
}

// refererPath is the path of the page that a request comes from, or "/".
func refererPath(r *http.Request) string {
	from, err := url.Parse(r.Referer())
	if err != nil || from.Host != r.Host {
		return "/"
	}
	return from.RequestURI()
}
