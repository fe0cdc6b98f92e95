//go:build unix

package web_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

const exporting = staging + "export/"

func TestExportIsAFile(t *testing.T) {
	t.Parallel()
	heartlocktest.EachDatabase(t, func(t *testing.T, databaseURL string) {
		w := newTeam(t, databaseURL)
		w.set(staging, "API_KEY", "canary <b>\"'")
		page := open(t, w.viewer, exporting).Has(t, "The text holds every value in the clear.", "All 1 secret").Lacks(t, "canary")
		for _, format := range api.ExportFormats() {
			values := page.Form(t, exporting).Values()
			values.Set("format", format)
			before := w.Count("audit_events", "action = 'secret.read'")
			file := w.viewer.Do("POST", exporting, values.Encode(), "Content-Type: application/x-www-form-urlencoded").Want(http.StatusOK)
			if n := w.Count("audit_events", "action = 'secret.read'") - before; n != 1 {
				t.Errorf("%s: recorded %d times", format, n)
			}
			same := w.owner.Call("GET", staging+"export/?format="+format, nil).Want(http.StatusOK)
			if file.Body != same.Body || file.Body == "" {
				t.Errorf("%s: another file than that of the API", format)
			}
			for name, want := range map[string]string{
				"Content-Type": same.Header.Get("Content-Type"), "Content-Disposition": same.Header.Get("Content-Disposition"),
				"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
			} {
				if got := file.Header.Get(name); got != want || got == "" {
					t.Errorf("%s: %s: %q, want %q", format, name, got, want)
				}
			}
			if !strings.HasPrefix(file.Header.Get("Content-Disposition"), `attachment; filename="web-staging.`) {
				t.Errorf("%s: %s", format, file.Header.Get("Content-Disposition"))
			}
			if strings.HasPrefix(file.Header.Get("Content-Type"), "text/html") {
				t.Errorf("%s is a page", format)
			}
		}
	})
}

func TestExportIsShown(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	for _, evil := range injections() {
		w.set(staging, "API_KEY", evil)
		values := open(t, w.viewer, exporting).Form(t, exporting).Values()
		values.Set("format", "docker")
		page := send(t, w.viewer, exporting+"show/", values).Has(t, "API_KEY="+evil).IsTame(t)
		page.Want(http.StatusOK)
	}
	w.set(staging, "API_KEY", "it's\nmine")
	values := open(t, w.viewer, exporting+"?format=dotenv").Form(t, exporting).Values()
	send(t, w.viewer, exporting+"show/", values).Has(t, "Some programs read parts of this differently", "API_KEY")
}

func TestExportSaysWhatAFormatCanNotCarry(t *testing.T) {
	t.Parallel()
	w := newTeam(t, "")
	w.set(staging, "TLS_KEY", "canary\nsecond line")
	w.set(staging, "FINE", "canary")
	for _, path := range []string{exporting, exporting + "show/"} {
		page := post(t, w.viewer, path, field("format", "docker"))
		page.Has(t, "Nothing was exported", "TLS_KEY: The value holds line breaks").Lacks(t, "canary", "FINE")
		if page.Status != http.StatusConflict || page.Header.Get("Content-Disposition") != "" {
			t.Errorf("%s: %d", path, page.Status)
		}
		if got := page.Form(t, exporting).Values().Get("format"); got != "docker" {
			t.Errorf("the choice has become %q", got)
		}
		for _, format := range append(injections(), "", "DOCKER") {
			page := post(t, w.viewer, path, field("format", format)).IsTame(t).Lacks(t, "canary")
			if page.Status != http.StatusBadRequest {
				t.Errorf("%s with %q: %d", path, format, page.Status)
			}
		}
	}
	if n := w.Count("audit_events", "action = 'secret.read'"); n != 0 {
		t.Errorf("%d readings of nothing are recorded", n)
	}
}
