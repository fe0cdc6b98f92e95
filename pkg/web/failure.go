package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/session"
)

const failureStyle = `body{font:16px/1.5 system-ui,sans-serif;color:#1c1c1e;background:#fff;max-width:34rem;margin:15vh auto 0;padding:0 1.25rem}` +
	`h1{font-size:1.4rem}a{color:#0b57d0}small{color:#5c5c61}` +
	`@media(prefers-color-scheme:dark){body{color:#e6e6e8;background:#151517}a{color:#8ab4f8}small{color:#a0a0a6}}`

const failureText = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{.Title}} – Heartlock</title>
<style>` + failureStyle + `</style>
</head>
<body>
<main>
<h1>{{.Title}}</h1>
<p>{{.Message}}</p>
<p><a href="/">Back to Heartlock</a></p>
{{with .RequestID}}<p><small>If you tell an administrator, name this request: {{.}}</small></p>
{{end}}</main>
</body>
</html>
`

// fail answers with a page that says what was wrong and what to do. The cause goes
// to the log only, with the request's id.
func (s *Site) fail(w http.ResponseWriter, r *http.Request, err error) {
	f := classify(err)
	id := session.ConnectionOf(r.Context()).ID
	logFailure(r.Context(), s.options.Log, id, f)
	var page bytes.Buffer
	if err := failurePage().Execute(&page, map[string]string{"Title": title(f.Kind), "Message": message(f), "RequestID": id}); err != nil {
		s.options.Log.Error("a page could not be made", "request_id", id, "error", err.Error())
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", failurePolicy())
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(page.Len()))
	if f.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(max(1, int(f.RetryAfter.Seconds()))))
	}
	w.WriteHeader(f.Kind.Status())
	_, _ = w.Write(page.Bytes())
	if s.options.Failed != nil {
		s.options.Failed(err)
	}
}

func failurePage() *template.Template {
	return template.Must(template.New("failure").Parse(failureText))
}

// failurePolicy allows the page its own style and nothing else.
func failurePolicy() string {
	sum := sha256.Sum256([]byte(failureStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
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
	if f.Kind == fault.Internal {
		return "Something went wrong on the server. Its log has the details."
	}
	return f.Error()
}

func title(k fault.Kind) string {
	switch k {
	case fault.NotFound, fault.MethodNotAllowed:
		return "There is nothing here"
	case fault.Unavailable, fault.Internal:
		return "This does not work at the moment"
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
