package rest

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/session"
)

// WriteProblem answers a request with an error: a problem document (RFC 9457)
// with the message for the person. The cause, and the text of an error that
// nobody classified, goes to the log only.
func WriteProblem(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	err = classify(err)
	f := fault.As(err)
	status := f.Kind.Status()
	id := session.ConnectionOf(r.Context()).ID
	logFailure(r.Context(), log, id, f, err)
	problem := api.Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: f.Error(), RequestID: id,
		SecondFactor: f.SecondFactor, Error: f.Code,
	}
	if f.Kind == fault.Internal && f.Message == "" {
		problem.Detail = "Something went wrong on the server. Its log has the details under this request id."
	}
	for _, field := range f.Fields {
		problem.Errors = append(problem.Errors, api.FieldError(field))
	}
	h := w.Header()
	h.Set("Content-Type", api.ProblemType)
	h.Del("ETag")
	if f.Kind == fault.Unauthenticated {
		h.Set("WWW-Authenticate", "Bearer")
	}
	if seconds := retryAfter(f); seconds > 0 {
		h.Set("Retry-After", strconv.Itoa(seconds))
	}
	if f.Kind == fault.TooLarge {
		h.Set("Connection", "close") // what is left of the body is not read
	}
	var body bytes.Buffer
	_ = api.Encode(&body, problem) // plain text in fixed fields always encodes
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes())
}

// classify makes sure that the outermost error is a fault, and that the text of
// a foreign error is never shown.
func classify(err error) error {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return fault.Wrap(fault.TooLarge, err, "The request body is larger than "+strconv.FormatInt(tooLarge.Limit>>10, 10)+" KiB.")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fault.Wrap(fault.Unavailable, err, "The request took too long.")
	case fault.As(err) == nil:
		return fault.Wrap(fault.Internal, err, "")
	}
	return err
}

func retryAfter(f *fault.Error) int {
	if f.RetryAfter > 0 {
		return max(1, int(f.RetryAfter.Round(time.Second).Seconds()))
	}
	if f.Kind == fault.Unavailable || f.Kind == fault.TooManyRequests {
		return 2
	}
	return 0
}

// logFailure writes what an operator needs: defects and outages loudly, refused
// requests only when asked for. Inputs are never in these texts.
func logFailure(ctx context.Context, log *slog.Logger, id string, f *fault.Error, err error) {
	level := slog.LevelDebug
	switch f.Kind {
	case fault.Internal:
		level = slog.LevelError
	case fault.Unavailable:
		level = slog.LevelWarn
	}
	log.Log(ctx, level, "request failed", "request_id", id, "kind", f.Kind.Error(), "error", fault.Detail(err))
}

// decodeFault words a body that could not be read.
func decodeFault(err error) error {
	var d *api.DecodeError
	if errors.As(err, &d) {
		return fault.InvalidField(d.Location, d.Message)
	}
	return err
}
