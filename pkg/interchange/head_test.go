package interchange

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExportSaysOfWhichProjectItIs(t *testing.T) {
	t.Parallel()
	with := func(project string) string {
		return `{"format": "heartlock project export", "version": 1, ` + project + `"environments": [{"slug": "e", "name": "E", "protected": false, "secrets": []}]}`
	}
	file, err := Read(JSON, []byte(with(`"project": {"slug": "shop", "name": "Web shop", "description": "two\nlines"}, `)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Head{"shop", "Web shop", "two\nlines"}, file.Project); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for project, want := range map[string]string{
		``:                "It does not say of which project it is.",
		`"project": "x",`: "It does not say of which project it is.",
		`"project": {"slug": "shop", "name": "Web shop"}, `:                                        "project: It has no text in description.",
		`"project": {"slug": "Shop", "name": "Web shop", "description": ""}, `:                     "project: The slug ",
		`"project": {"slug": "shop", "name": " ", "description": ""}, `:                            "project: The name must not be empty.",
		`"project": {"slug": "shop", "name": "S", "description": "\u0007"}, `:                      "project: The description ",
		`"project": {"slug": "shop", "name": "S", "description": "", "owner": "` + hidden + `"}, `: "project: It has a field owner, which is not known.",
	} {
		_, err := Read(JSON, []byte(with(project)), Options{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), hidden) {
			t.Errorf("%s: %v", project, err)
		}
	}
}
