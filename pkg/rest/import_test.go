package rest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

// TestAnEmptyTextDeletesNothing: a file that could not be read, or a pipe that broke,
// must not empty an environment for who imports with delete_missing.
func TestAnEmptyTextDeletesNothing(t *testing.T) {
	t.Parallel()
	heartlocktest.EachEngine(t, func(t *testing.T, _ *heartlocktest.Server, owner *heartlocktest.Caller) {
		owner.Call("POST", "/projects/", map[string]any{"name": "Shop"}).Want(http.StatusCreated)
		staging := "/projects/shop/environments/staging/"
		owner.Call("PUT", staging+"secrets/API_KEY/", map[string]any{"value": "x"}).Want(http.StatusCreated)
		for format, texts := range map[string][]string{
			"dotenv": {"", "\n", "# a comment\n"}, "json": {"", "{}", "[]", "null"}, "yaml": {"", "{}", "# a comment", "---\n"},
		} {
			for _, text := range texts {
				p := owner.Call("POST", staging+"import/?format="+format, map[string]any{"text": text, "delete_missing": true}).WantProblem(http.StatusBadRequest)
				if !strings.HasPrefix(p.Detail, "The text was not taken:") {
					t.Errorf("%s %q: %s", format, text, p.Detail)
				}
			}
		}
		owner.Call("GET", staging+"secrets/API_KEY/", nil).Want(http.StatusOK)
	})
}
