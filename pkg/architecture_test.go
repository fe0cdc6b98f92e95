// Package pkg_test holds the plan of the house as a test: which package may
// import which, who owns which library, and what every file must look like. It
// reads the source alone, so it needs nothing to compile and sees the files of
// every platform. CONTRIBUTING.md explains the plan; to change it, change the
// tables below in the same commit and say why.
package pkg_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/heartlock/heartlock"

// mayImport says, for each package (by its path in the module), which of our own
// packages its product code may import. A package that is not here, or below one
// that is, fails the test: give it a place in the plan first.
var mayImport = map[string][]string{
	".":                 {"cmd"},
	"cmd":               {"migrations", "pkg/api", "pkg/backup", "pkg/client", "pkg/config", "pkg/diagnosis", "pkg/dotenv", "pkg/fault", "pkg/interchange", "pkg/keyring", "pkg/mail", "pkg/oidc", "pkg/rest", "pkg/rotation", "pkg/server", "pkg/session", "pkg/store", "pkg/vault", "pkg/web"},
	"pkg/server":        {"migrations", "pkg/api", "pkg/backup", "pkg/config", "pkg/crashpoint", "pkg/fault", "pkg/keyring", "pkg/mail", "pkg/oidc", "pkg/rest", "pkg/session", "pkg/store", "pkg/vault", "pkg/web"},
	"pkg/rotation":      {"pkg/config", "pkg/crashpoint", "pkg/fault", "pkg/keyring", "pkg/server", "pkg/vault"},
	"pkg/diagnosis":     {"pkg/config", "pkg/fault", "pkg/keyring", "pkg/server", "pkg/store", "pkg/vault"},
	"pkg/rest":          {"pkg/api", "pkg/config", "pkg/fault", "pkg/oidc", "pkg/session", "pkg/vault"},
	"pkg/web":           {"pkg/api", "pkg/config", "pkg/dotenv", "pkg/fault", "pkg/oidc", "pkg/session", "pkg/vault"},
	"pkg/session":       {"pkg/api", "pkg/config", "pkg/fault", "pkg/vault"},
	"pkg/crashpoint":    {},
	"pkg/backup":        {"pkg/api", "pkg/fault", "pkg/keyring"},
	"pkg/vault":         {"pkg/api", "pkg/backup", "pkg/crashpoint", "pkg/dotenv", "pkg/fault", "pkg/interchange", "pkg/keyring", "pkg/mail", "pkg/store"},
	"pkg/store":         {"migrations", "pkg/fault"},
	"pkg/client":        {"pkg/api", "pkg/dotenv", "pkg/fault"},
	"pkg/interchange":   {"pkg/api", "pkg/dotenv", "pkg/fault"},
	"pkg/config":        {"pkg/dotenv", "pkg/fault", "pkg/keyring"},
	"pkg/keyring":       {"pkg/fault"},
	"pkg/mail":          {"pkg/fault"},
	"pkg/oidc":          {"pkg/fault"},
	"pkg/api":           {},
	"pkg/dotenv":        {},
	"pkg/fault":         {},
	"migrations":        {},
	"pkg/heartlocktest": {"migrations", "pkg"}, // "pkg": everything in it
}

// testsOnly are packages that only tests, and the packages below them, import.
var testsOnly = []string{"pkg/heartlocktest"}

// library is an import path, and all that is below it, that only its owners use.
// Tests may use it too where tests is set.
type library struct {
	path   string
	owners []string
	tests  bool
	why    string
}

var harness = "pkg/heartlocktest"

var libraries = []library{
	{"github.com/spf13/cobra", []string{"cmd"}, false, "the command tree is in cmd alone"},
	{"github.com/charmbracelet", []string{"cmd"}, false, "only commands talk to a terminal"},
	{"github.com/spf13/viper", []string{"pkg/config"}, false, "settings are read in one place"},
	{"github.com/uptrace/bun", []string{"pkg/store", harness}, false, "SQL is written in one place"},
	{"github.com/jackc/pgx", []string{"pkg/store", harness}, true, "SQL is written in one place"},
	{"modernc.org/sqlite", []string{"pkg/store", harness}, false, "SQL is written in one place"},
	{"database/sql", []string{"pkg/store", harness}, true, "SQL is written in one place"},
	{"github.com/fernet/fernet-go", []string{"pkg/keyring", harness}, true, "keyring guards the calls that panic or accept garbage"},
	{"filippo.io/age", []string{"pkg/backup"}, true, "backups are encrypted in one place"},
	{"github.com/wneessen/go-mail", []string{"pkg/mail"}, false, "mail leaves through one door"},
	{"github.com/emersion", []string{harness}, true, "it receives mail in tests"},
	{"github.com/boombuler/barcode", []string{"pkg/web"}, true, "a code to be scanned is on a page"},
	{"golang.org/x/oauth2", []string{"pkg/oidc"}, false, "single sign-on is in one place"},
	{"github.com/coreos/go-oidc", []string{"pkg/oidc"}, false, "single sign-on is in one place"},
	{"html/template", []string{"pkg/web", "pkg/mail"}, true, "pages and mail are the only HTML"},
	{"text/template", []string{"pkg/mail"}, true, "what is shown in a browser needs html/template"},
	{"encoding/json", nil, true, "it folds case, takes the last of two equal names and replaces invalid UTF-8 silently; use api.Decode and api.Encode, or github.com/go-json-experiment/json"},
	{"math/rand", []string{harness}, true, "it is predictable; use crypto/rand"},
	{"unsafe", nil, false, "secrets have no business near it"},
	{"log", nil, true, "logging goes through log/slog"},
	{"testing", []string{harness}, true, "product code does not depend on the test framework"},
	{"github.com/google/go-cmp", []string{harness}, true, "it panics by design; it is for tests"},
	{"github.com/getkin/kin-openapi", []string{harness}, true, "it checks the API document in tests"},
	{"github.com/creack/pty", []string{harness}, true, "it drives a terminal in tests"},
	{"github.com/rogpeppe/go-internal/testscript", []string{harness}, true, "scripts drive the binary in tests"},
}

// never are imports that a package's product code must not have, beyond the
// rules above.
var never = map[string][]string{
	"pkg/vault": {"net/http"}, // the domain does not know that HTTP exists
	"pkg/store": {"net/http"},
}

// vagueNames name a place where anything could be put.
var vagueNames = []string{"util", "utils", "common", "helper", "helpers", "model", "models", "types", "misc", "shared", "base", "core"}

// maxLines is how long a Go file may be. Most should stay well below 500.
const maxLines = 700

// source is one Go file.
type source struct {
	name string // path from the root of the module, with slashes
	dir  string // its directory, "." for the root
	test bool
	ast  *ast.File
	fset *token.FileSet
	text []byte
}

func TestPackagesImportOnlyWhatThePlanAllows(t *testing.T) {
	for _, f := range sources(t) {
		home, known := placeOf(f.dir)
		if !known {
			t.Errorf("%s: package %s has no place in the plan: add it to mayImport in pkg/architecture_test.go", f.name, f.dir)
			continue
		}
		for _, imported := range imports(f) {
			if ours, ok := within(module, imported); ok {
				if why := checkOwnImport(f, home, ours); why != "" {
					t.Errorf("%s imports %s: %s", f.name, ours, why)
				}
			}
		}
	}
}

func TestLibrariesHaveOneOwner(t *testing.T) {
	for _, f := range sources(t) {
		for _, imported := range imports(f) {
			for _, lib := range libraries {
				if why := checkLibrary(f, lib, imported); why != "" {
					t.Errorf("%s imports %s: %s", f.name, imported, why)
				}
			}
			if home, _ := placeOf(f.dir); !f.test && slices.Contains(never[home], imported) {
				t.Errorf("%s imports %s: %s never does", f.name, imported, home)
			}
		}
	}
}

func TestFilesKeepTheRulesOfTheHouse(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range sources(t) {
		if !f.test {
			documented[f.dir] = documented[f.dir] || f.ast.Doc != nil
		}
		if n := bytes.Count(f.text, []byte("\n")); n > maxLines {
			t.Errorf("%s has %d lines; a file has at most %d: split it by content", f.name, n, maxLines)
		}
		for _, decl := range f.ast.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s:%d has an init function: build values in constructors", f.name, f.fset.Position(fn.Pos()).Line)
			}
		}
		for _, name := range []string{path.Base(f.dir), f.ast.Name.Name} {
			if slices.Contains(vagueNames, strings.TrimSuffix(name, "_test")) {
				t.Errorf("%s: a package called %s says nothing about its content", f.name, name)
			}
		}
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package %s has no package comment: say what it is for and what it is not", dir)
		}
	}
}

// TestThePlanMatchesTheHouse fails when a table names a package that is gone, so
// that the plan does not outlive what it describes.
func TestThePlanMatchesTheHouse(t *testing.T) {
	planned := []string{"pkg/mail", "pkg/oidc", "pkg/web"}
	for dir := range mayImport {
		if _, err := os.Stat(filepath.Join(root(t), dir)); err != nil && !slices.Contains(planned, dir) {
			t.Errorf("mayImport names %s, which does not exist", dir)
		}
	}
}

// checkOwnImport says why f, which belongs to the package home of the plan, may
// not import the package ours, or "". Tests may import anything of ours but
// cmd: they set up the world that they test.
func checkOwnImport(f source, home, ours string) string {
	switch target, known := placeOf(ours); {
	case !known:
		return "it has no place in the plan"
	case target == "cmd" && home != "." && home != "cmd":
		return "nothing but main imports cmd"
	case target == home || f.test:
		return ""
	case slices.Contains(testsOnly, target):
		return "only tests import it"
	case !slices.ContainsFunc(mayImport[home], func(allowed string) bool { _, ok := within(allowed, target); return ok }):
		return fmt.Sprintf("%s may import only %v of our packages", home, mayImport[home])
	}
	return ""
}

// checkLibrary says why f may not import the path, or "".
func checkLibrary(f source, lib library, imported string) string {
	if _, ok := within(lib.path, imported); !ok || imported == "log/slog" {
		return ""
	}
	if f.test && lib.tests {
		return ""
	}
	owned := slices.ContainsFunc(lib.owners, func(owner string) bool { _, ok := within(owner, f.dir); return ok })
	if owned {
		return ""
	}
	owners := "nothing"
	if len(lib.owners) > 0 {
		owners = strings.Join(lib.owners, " or ")
	}
	return fmt.Sprintf("%s (%s may use it)", lib.why, owners)
}

// placeOf finds the package of the plan that dir is, or is below.
func placeOf(dir string) (string, bool) {
	if dir == "pkg" { // this test
		return dir, true
	}
	for d := dir; ; d = path.Dir(d) {
		if _, ok := mayImport[d]; ok && (d != "." || dir == ".") {
			return d, true
		}
		if d == "." {
			return "", false
		}
	}
}

// within reports whether p is base or below it, and where.
func within(base, p string) (rest string, ok bool) {
	if p == base {
		return ".", true
	}
	return strings.CutPrefix(p, base+"/")
}

func imports(f source) []string {
	var paths []string
	for _, spec := range f.ast.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			panic(err) // the parser has accepted it
		}
		paths = append(paths, p)
	}
	return paths
}

// sources parses every Go file of the module, for whatever platform it is.
func sources(t *testing.T) []source {
	t.Helper()
	base := root(t)
	var files []source
	err := filepath.WalkDir(base, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(base, file)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if file != base && skipped(file, d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		f, err := parse(file, filepath.ToSlash(name))
		files = append(files, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("no Go file found: the test looks in the wrong place")
	}
	return files
}

// skipped reports whether the go command would pass over a directory too:
// hidden ones, test data, and other modules.
func skipped(dir, name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "vendor" || name == "node_modules" {
		return true
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

func parse(file, name string) (source, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return source{}, err
	}
	fset := token.NewFileSet()
	tree, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return source{}, err
	}
	return source{name: name, dir: path.Dir(name), test: strings.HasSuffix(name, "_test.go"), ast: tree, fset: fset, text: text}, nil
}

// root is the directory that holds go.mod: a test runs in its package's.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		t.Fatal(err)
	}
	return dir
}
