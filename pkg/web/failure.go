package web

import (
	"bytes"
	"context"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/session"
)

// fail answers with a page that says what was wrong and what to do. The cause goes
// to the log only, with the request's id.
func (s *Site) fail(v *visit, err error) {
	f := classify(err)
	logFailure(v, s.options.Log, v.who.Request.ID, f)
	if s.options.Failed != nil {
		s.options.Failed(err)
	}
	setRetryAfter(v.w.Header(), f)
	_, signedIn := v.who.Account()
	// The address may hold what nobody else is to see. Who is signed in has a form on
	// the page, to sign out.
	if v.w.Header().Set("Referrer-Policy", "no-referrer"); signedIn {
		limitReferrer(v)
	}
	v.problems = nil
	data := failurePage{Message: message(f), RequestID: v.who.Request.ID, Status: f.Kind.Status(), Wait: waitWords(f)}
	if again := api.LocalPath(v.r.URL.RequestURI()); !session.Unsafe(v.r.Method) && again != "/" && mayPass(f.Kind) {
		data.Again = again
	}
	err = v.show(page{Template: "failure", Title: title(f.Kind), Status: f.Kind.Status(), Plain: true, Data: data})
	if err != nil {
		s.options.Log.Error("a page could not be made", "request_id", v.who.Request.ID, "error", err.Error())
		WriteFailure(v.w, v.r, s.options.Log, f)
	}
}

type failurePage struct {
	Message   string
	Wait      string // when to try again, unless the message says it
	Again     string // what to try again
	RequestID string
	Status    int
}

// mayPass reports whether the same can work later.
func mayPass(k fault.Kind) bool {
	return k == fault.Unavailable || k == fault.TooManyRequests || k == fault.Internal
}

// waitWords says when to try again, if the message does not.
func waitWords(f *fault.Error) string {
	wait := f.RetryAfter.Round(time.Second)
	switch {
	case wait <= 0 || strings.Contains(f.Message, "ry again in"):
		return ""
	case wait < time.Minute:
		return "Try again in " + count(int(wait/time.Second), "second") + "."
	}
	return "Try again in " + count(int((wait+time.Minute-1)/time.Minute), "minute") + "."
}

const failureStyle = `body{font:16px/1.5 system-ui,sans-serif;color:#1d2129;background:#f6f7f9;margin:0;padding:15vh 1.25rem 0}` +
	`main{max-width:30rem;margin:0 auto;background:#fff;border:1px solid #dfe3e8;border-radius:12px;padding:1.5rem 2rem 2rem}` +
	`h1{font-size:1.375rem;margin:.5rem 0}a{color:#4338ca}small{color:#5a6270}` +
	`@media(prefers-color-scheme:dark){body{color:#e6e8ec;background:#101216}main{background:#181b21;border-color:#2b303a}a{color:#a5b4fc}small{color:#9aa3b2}}`

const failureText = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>{{.Title}} – Heartlock</title>
<style>` + failureStyle + `</style>
</head>
<body>
<main>
<h1>{{.Title}}</h1>
<p>{{.Message}}</p>
{{with .Wait}}<p>{{.}}</p>
{{end}}<p><a href="/">Back to Heartlock</a></p>
{{with .RequestID}}<p><small>If you tell an administrator, name this request: {{.}}</small></p>
{{end}}</main>
</body>
</html>
`

// WriteFailure answers with an error page that needs nothing else of the server: for
// requests that are refused before anything of them is believed, and while there is
// no site yet.
func WriteFailure(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	f := classify(err)
	id := session.ConnectionOf(r.Context()).ID
	logFailure(r.Context(), log, id, f)
	var page bytes.Buffer
	if err := template.Must(template.New("failure").Parse(failureText)).Execute(&page, map[string]string{"Title": title(f.Kind), "Message": message(f), "Wait": waitWords(f), "RequestID": id}); err != nil {
		log.Error("a page could not be made", "request_id", id, "error", err.Error())
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src "+digestPolicy(failureStyle)+"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(page.Len()))
	setRetryAfter(h, f)
	w.WriteHeader(f.Kind.Status())
	_, _ = w.Write(page.Bytes())
}

func setRetryAfter(h http.Header, f *fault.Error) {
	if f.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(max(1, int(f.RetryAfter.Seconds()))))
	}
}

// classify makes sure that the text of a foreign error is never shown.
func classify(err error) *fault.Error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fault.Wrap(fault.Unavailable, err, "The request took too long. Try again.")
	}
	if f := fault.As(err); f != nil {
		return f
	}
	return fault.Wrap(fault.Internal, err, "")
}

func message(f *fault.Error) string {
	switch {
	case f.Kind == fault.Internal:
		return "Something went wrong on the server. Its log has the details."
	case f.Kind == fault.NotFound && f.Error() == "Not found.":
		return errNoPage.Error()
	case f.Kind == fault.Forbidden && strings.HasPrefix(f.Error(), "CSRF Failed: "): // as the API says it
		return "This form does not come from a page of your present session. Go back, load its page again, and send it once more."
	}
	return f.Error()
}

func title(k fault.Kind) string {
	switch k {
	case fault.NotFound:
		return "There is nothing here"
	case fault.Gone:
		return "This is not valid any more"
	case fault.Forbidden:
		return "You may not do this"
	case fault.TooManyRequests:
		return "Too many attempts"
	case fault.TooLarge:
		return "This is too large"
	case fault.Conflict, fault.PreconditionFailed:
		return "Someone else was faster"
	case fault.Unavailable:
		return "This does not work at the moment"
	case fault.Internal:
		return "Something went wrong"
	default:
		return "That did not work"
	}
}

func logFailure(ctx context.Context, log *slog.Logger, id string, f *fault.Error) {
	level := slog.LevelDebug
	switch {
	case f.Kind == fault.Internal:
		level = slog.LevelError
	case f.Kind == fault.Unavailable, f.Cause != nil: // an operator has to see why sign-ins fail
		level = slog.LevelWarn
	}
	log.Log(ctx, level, "page failed", "request_id", id, "kind", f.Kind.Error(), "error", fault.Detail(f))
}
