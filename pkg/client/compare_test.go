package client

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
)

// TestAnExportIsAFile: what a proxy says in its place is not taken for secrets.
func TestAnExportIsAFile(t *testing.T) {
	t.Parallel()
	for _, file := range []bool{true, false} {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.RequestURI() != "/api/v1/projects/p/environments/e/export/?format=docker" {
				t.Errorf("the request is for %s", r.URL.RequestURI())
			}
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			if file {
				w.Header().Set("Content-Disposition", `attachment; filename="p-e.docker.env"`)
			}
			_, _ = io.WriteString(w, "A=hunter2\n")
		})
		text, err := c.ExportSecrets(t.Context(), Environment{"p", "e"}, api.FormatDocker)
		switch {
		case file && (err != nil || text.Reveal() != "A=hunter2\n"):
			t.Errorf("the file was not taken: %v", err)
		case !file && (err == nil || text.Len() > 0 || strings.Contains(err.Error(), "hunter2")):
			t.Errorf("what is no file: %v", err)
		}
	}
}

// TestAMatrixIsRectangular, so that whoever walks it can not fall over its edge.
func TestAMatrixIsRectangular(t *testing.T) {
	t.Parallel()
	for cells, good := range map[string]bool{`[{"version":1,"group":1},{"version":0,"group":0}]`: true, `[{"version":1,"group":1}]`: false, `[]`: false} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			environment := `{"slug":"a","name":"A","protected":false,"revision":1}`
			answerJSON(w, http.StatusOK, `{"environments":[`+environment+`,`+environment+`],"rows":[{"key":"K","cells":`+cells+`}]}`)
		})
		if m, err := c.Matrix(t.Context(), "p"); (err == nil) != good || good && !m.Rows[0].Cells[1].IsMissing() {
			t.Errorf("%s: %v", cells, err)
		}
	}
}
