package web

import (
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// sources are the texts that pages are made of. What one of them names another has to
// have, and the other way round: nobody else would notice what is left over.
type sources struct{ templates, css, js, code map[string]string }

func readSources(t *testing.T) sources {
	t.Helper()
	s := sources{
		templates: embedded(t, templateFiles, "templates", ".html"),
		css:       embedded(t, staticFiles, "static/css", ".css"),
		js:        embedded(t, staticFiles, "static/js", ".js"),
		code:      map[string]string{},
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s.code[file] = string(text)
	}
	return s
}

// embedded are the files below a folder, by their paths without the folder and the
// ending.
func embedded(t *testing.T, files fs.FS, folder, ending string) map[string]string {
	t.Helper()
	texts := map[string]string{}
	err := fs.WalkDir(files, folder, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, name)
		texts[strings.TrimSuffix(strings.TrimPrefix(name, folder+"/"), ending)] = string(text)
		return err
	})
	if err != nil || len(texts) == 0 {
		t.Fatalf("%s: %d files, %v", folder, len(texts), err)
	}
	return texts
}

func joined(texts map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		b.WriteString(texts[name] + "\n")
	}
	return b.String()
}

// names is a set that is filled from the groups of matches.
type names map[string]bool

func (n names) find(pattern, text string) names {
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		for _, name := range strings.Fields(match[1]) {
			n[name] = true
		}
	}
	return n
}

// wantSame reports what is in one of two sets alone.
func wantSame(t *testing.T, what string, there, used names) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(used)) {
		if !there[name] {
			t.Errorf("%s: %s is used and does not exist", what, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(there)) {
		if !used[name] {
			t.Errorf("%s: %s is not used", what, name)
		}
	}
}

func TestEveryNoticeIsSaid(t *testing.T) {
	t.Parallel()
	there, said := names{}, names{}
	for name := range notices {
		there[name] = true
	}
	for file, text := range readSources(t).code {
		if file != "notice.go" {
			said.find(`(?m)\b(?:done|doneInEnvironment|LeaveNotice|changeUser)\(.*"([a-z-]+)"\)`, text)
			said.find(`(?m)notice :?= .*"([a-z-]+)"$`, text)
		}
	}
	wantSame(t, "notices", there, said)
}

func TestEveryModuleIsLoaded(t *testing.T) {
	t.Parallel()
	s := readSources(t)
	there, used := names{}, names{"app": true}
	used.find(`data-module="([\w/-]+)"`, joined(s.templates))
	for name, text := range s.js {
		there[name] = true
		for imported := range (names{}).find(`from "(\.[\w./-]+)\.js"`, text) {
			used[path.Join(path.Dir(name), imported)] = true
		}
	}
	wantSame(t, "modules of static/js", there, used)
}

func TestEveryIconIsShown(t *testing.T) {
	t.Parallel()
	s := readSources(t)
	there := names{}.find(`id="icon-([\w-]+)"`, s.templates["parts/icons"])
	used := names{}.find(`icon"? "([\w-]+)"`, joined(s.templates)).find(`#icon-([\w-]+)`, joined(s.js))
	used["arrow-up"], used["arrow-down"] = true, true // of environment-move, which makes up their names
	wantSame(t, "icons", there, used)
}

func TestEveryTokenOfTheStyleIsUsed(t *testing.T) {
	t.Parallel()
	css := joined(readSources(t).css)
	wantSame(t, "properties of static/css", names{}.find(`[{;\s](--[\w-]+):`, css), names{}.find(`var\((--[\w-]+)`, css))
}

var (
	classAttribute = regexp.MustCompile(`class="((?:\{\{.*?\}\}|[^"{])*)"`)
	templateAction = regexp.MustCompile(`\{\{.*?\}\}`)
	quotedText     = regexp.MustCompile(`"([^"]*)"`)
	styleOnly      = regexp.MustCompile(`(?s)/\*.*?\*/|url\("[^"]*"\)|"[^"]*"`)
)

// TestEveryClassHasItsStyle: a class that no style sheet knows says nothing, and a rule
// that no page asks for is read by everybody who looks for another.
func TestEveryClassHasItsStyle(t *testing.T) {
	t.Parallel()
	s := readSources(t)
	styled := names{}.find(`\.([a-zA-Z][\w-]*)`, styleOnly.ReplaceAllString(joined(s.css), ""))
	used := names{
		"get": true, "post": true, "put": true, "patch": true, "delete": true, // of api-operation: the method
		"tone1": true, "tone2": true, "tone3": true, "tone4": true, // of matrix: see matrixRow.Tone
	}
	for name, text := range s.templates {
		for _, attribute := range classAttribute.FindAllStringSubmatch(text, -1) {
			for _, action := range templateAction.FindAllString(attribute[1], -1) {
				for _, literal := range quotedText.FindAllStringSubmatch(action, -1) {
					for class := range strings.FieldsSeq(literal[1]) {
						used[class] = used[class] || styled[class] // else it is what something is compared with
					}
				}
			}
			for class := range strings.FieldsSeq(templateAction.ReplaceAllString(attribute[1], " ")) {
				if used[class] = true; !styled[class] && class != "tone" { // a number follows it
					t.Errorf("%s.html: no style knows the class %s", name, class)
				}
			}
		}
		used.find(`"(?:class|submitClass|tone)" "([\w -]+)"`, text)
	}
	used.find(`class(?:List\.\w+\(|Name = )"([\w -]+)"`, joined(s.js))
	used.find(`class="([\w -]+)"`, joined(s.code))
	used.find(`return "(good|bad|accent|warn)"`, joined(s.code)) // see changeTone
	delete(used, "tone")
	maps.DeleteFunc(used, func(_ string, is bool) bool { return !is })
	wantSame(t, "classes of static/css", styled, used)
}

// TestEveryHookIsHeld: attributes in the pages that are for scripts, and scripts that
// look for attributes.
func TestEveryHookIsHeld(t *testing.T) {
	t.Parallel()
	s := readSources(t)
	pages, scripts := joined(s.templates), joined(s.js)+joined(s.css)
	there := names{}.find(`[\s"](data-[a-z-]+)`, pages)
	sought := names{}.find(`\[(data-[a-z-]+)`, scripts)
	upper := regexp.MustCompile(`[A-Z]`)
	hyphened := func(name string) string {
		return "data-" + upper.ReplaceAllStringFunc(name, func(letter string) string { return "-" + strings.ToLower(letter) })
	}
	for name := range (names{}).find(`dataset\.(\w+)`, scripts).find(`"(\w+)" in \S+\.dataset`, scripts) {
		sought[hyphened(name)] = true
	}
	for name := range (names{}).find(`dataset\.(\w+) =`, scripts) { // the script's own note
		there[hyphened(name)] = true
	}
	wantSame(t, "data attributes", there, sought)
}
