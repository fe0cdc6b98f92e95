package interchange

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/heartlock/heartlock/pkg/api"
)

// nastyValues are what has broken exporters: the characters that mean something to
// a reader, alone and in pairs, white space at either end, nothing at all, what
// YAML takes for another type, and the corners of Unicode.
func nastyValues() []string {
	values := []string{
		"", "plain", " leading", "trailing ", "\ttabs\t", "x #y", "#", "=", "a=b", "export X=1", "-", "- a", "? a", "a: b", "a:", ":a", "[a]", "{a: b}", "&a", "*a", "!a", "|", ">", "%a", "@a", ",",
		"yes", "No", "on", "true", "null", "~", "1", "0x1F", "0o17", "1e3", ".inf", "1_000", "2026-01-31", "12:30:45", "=", "<<", "---", "...", "--- a",
		"$(touch pwn)", "`touch pwn`", "${HOME}", "$HOME", "%{HOME}", "$${HOME}", "$$${HOME}", "$$$${HOME}", "%%{x}", "%%%{x}", "$%{x}", "%${x}", "$", "%", "${", "%{", "{$", "$\u007b",
		`'; touch pwn; '`, `"; touch pwn; "`, "'\ntouch pwn\n'", `\`, `\\`, `\\\`, `a\`, `\n`, `a\nb`, `\'`, `\"`, `\u0041`, `\x41`, "it's", `say "hi"`, "<<EOF", "/* a */", "// a",
		"line\nbreak", "\n", "\r\n", "\r", "a\rb", "end\n", "\n\nstart", "  indented\n more", "\nend \n", "a\n\n\nb\n\n", "trailing space \nhere", "-----BEGIN KEY-----\nMII+/=\n-----END KEY-----\n",
		"ümläut 🙂", "e\u0301", "\u212b", "\u2028", "\u2029", "\u0085", "\u00a0", "\u200b", "\ufeff", "\ufeffx", "\ufffd", "\ufffe", "\U0001f3f3\ufe0f\u200d\U0001f308", "\U0010ffff", "\u202eabc",
		"\x01\x02\x1b[31m", "\x7f", "\u009f", "\v\f\b\a", strings.Repeat("x'\"$`\\ ", 2000), strings.Repeat("long ", 60), strings.Repeat("\n", 300),
	}
	special := []string{"'", `"`, "$", "`", `\`, "#", "=", " ", "\n", "\r", "\t", "x", "{", "%", ":", "-"}
	for _, a := range special {
		for _, b := range special {
			values = append(values, a+b, "x"+a+b+"x")
		}
	}
	return values
}

// secretsOf gives the values keys: K0, K1, …
func secretsOf(values []string) []Secret {
	secrets := make([]Secret, len(values))
	for i, v := range values {
		secrets[i] = Secret{Key: fmt.Sprintf("K%d", i), Value: api.NewValue(v)}
	}
	return secrets
}

// carried are the nasty values that a format takes.
func carried(format string) (values []string) {
	w := writerOf(format)
	for _, v := range nastyValues() {
		if w.refuse == nil || w.refuse(Secret{Key: "K", Value: api.NewValue(v)}) == "" {
			values = append(values, v)
		}
	}
	return values
}

func written(t *testing.T, format string, secrets []Secret) string {
	t.Helper()
	text, err := Write(format, "shop-production", secrets)
	if err != nil {
		t.Fatal(err)
	}
	return text.Content.Reveal()
}

// TestReadTakesBackWhatIsWritten: the formats that can be imported lose nothing.
func TestReadTakesBackWhatIsWritten(t *testing.T) {
	t.Parallel()
	for _, format := range api.ImportFormats() {
		values := carried(format)
		if len(values) != len(nastyValues()) {
			t.Errorf("%s refuses something", format)
		}
		file, err := Read(Source(format), []byte(written(t, format, secretsOf(values))), Options{})
		if err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		compare(t, format, secretsOf(values), file.Groups[0].Secrets)
	}
}

func compare(t *testing.T, what string, want, got []Secret) {
	t.Helper()
	if len(want) != len(got) {
		t.Fatalf("%s: %d secrets became %d", what, len(want), len(got))
	}
	for i := range want {
		if want[i].Key != got[i].Key || !want[i].Value.Equal(got[i].Value) {
			t.Errorf("%s: %s=%q became %s=%q", what, want[i].Key, want[i].Value.Reveal(), got[i].Key, got[i].Value.Reveal())
		}
	}
}

// TestKeysStayText: names that YAML 1.1 takes for booleans.
func TestKeysStayText(t *testing.T) {
	t.Parallel()
	var secrets []Secret
	for _, k := range []string{"y", "N", "Yes", "NO", "on", "OFF", "true", "False", "NULL", "nan", "E1", "_1", "x", "inf", "__proto__"} {
		secrets = append(secrets, Secret{Key: k, Value: api.NewValue(k)})
	}
	for _, format := range []string{api.FormatYAML, api.FormatJSON} {
		file, err := Read(Source(format), []byte(written(t, format, secrets)), Options{})
		if err != nil {
			t.Fatal(err)
		}
		compare(t, format, secrets, file.Groups[0].Secrets)
	}
	text := written(t, api.FormatYAML, secrets)
	for _, quoted := range []string{`"y":`, `"N":`, `"NO":`, `"OFF":`, `"NULL":`} {
		if !strings.Contains(text, quoted) {
			t.Errorf("the key %s is not in quotes", quoted)
		}
	}
}

// TestShellsReadTheShellFormat: every value, and nothing in one runs.
func TestShellsReadTheShellFormat(t *testing.T) {
	t.Parallel()
	values := nastyValues()
	text := written(t, api.FormatShell, secretsOf(values))
	for _, shell := range []string{"sh", "bash"} {
		got := sourced(t, shell, text, keysOf(secretsOf(values)))
		if diff := cmp.Diff(values, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", shell, diff)
		}
	}
}

func keysOf(secrets []Secret) []string {
	keys := make([]string, len(secrets))
	for i, s := range secrets {
		keys[i] = s.Key
	}
	return keys
}

// sourced is what variables are in a shell that has sourced the text.
func sourced(t *testing.T, shell, text string, keys []string) []string {
	t.Helper()
	path, err := exec.LookPath(shell)
	if err != nil {
		t.Fatalf("this test needs the shell %s: apt-get install dash bash", shell)
	}
	dir := t.TempDir()
	var script strings.Builder
	script.WriteString(". ./f\n")
	for _, k := range keys {
		fmt.Fprintf(&script, "printf '%%s\\0' \"$%s\"\n", k)
	}
	for name, content := range map[string]string{"f": text, "s": script.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(path, "s")
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LC_ALL=C.UTF-8"}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil || complaints.Len() > 0 {
		t.Fatalf("%s: %v: %s", shell, err, complaints.String())
	}
	if _, err := os.Lstat(filepath.Join(dir, "pwn")); err == nil {
		t.Fatalf("%s ran what stands in a value", shell)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

// TestTheShellFormatRefusesWhatShellsDoNotKeep: of all names of variables that
// the shells know, those that are not refused keep their value.
func TestTheShellFormatRefusesWhatShellsDoNotKeep(t *testing.T) {
	t.Parallel()
	var taken []Secret
	for _, name := range shellVariables(t) {
		s := Secret{Key: name, Value: api.NewValue("a value of " + name)}
		// Those left out here are kept too, but one warns that no such language is
		// installed, and without the others the test's own script does not work.
		if refuseShell(s) == "" && !slices.Contains([]string{"LC_ALL", "PATH", "IFS"}, name) {
			taken = append(taken, s)
		}
	}
	if len(taken) < 40 {
		t.Fatalf("only %d variables of shells are known", len(taken))
	}
	for _, s := range taken {
		for _, shell := range []string{"sh", "bash"} {
			text := written(t, api.FormatShell, []Secret{s})
			if got := sourced(t, shell, text, []string{s.Key}); got[0] != s.Value.Reveal() {
				t.Errorf("%s does not keep %s", shell, s.Key)
			}
		}
	}
}

// shellVariables are the variables that bash completes, and those of its manual.
func shellVariables(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("bash", "-c", "compgen -v").Output()
	if err != nil {
		t.Fatalf("this test needs bash: %v", err)
	}
	return append(strings.Fields(string(out)), strings.Fields(`BASH_COMPAT BASH_ENV BASH_XTRACEFD CHILD_MAX COLUMNS COMP_CWORD COMP_KEY COMP_LINE
		COMP_POINT COMP_TYPE COMPREPLY COPROC CDPATH ENV EXECIGNORE FCEDIT FIGNORE FUNCNEST GLOBIGNORE HISTCONTROL HISTFILE HISTFILESIZE HISTIGNORE
		HISTSIZE HISTTIMEFORMAT HOME HOSTFILE HOSTNAME HOSTTYPE IGNOREEOF INPUTRC INSIDE_EMACS LINES MACHTYPE MAIL MAILCHECK MAILPATH MAPFILE OLDPWD OPTARG OPTERR OSTYPE POSIXLY_CORRECT PROMPT_COMMAND PROMPT_DIRTRIM PS0 PS1 PS2
		PS3 PS4 PWD READLINE_ARGUMENT READLINE_LINE REPLY SHELL TIMEFORMAT TMOUT TMPDIR auto_resume histchars`)...)
}

// dockerReads is what docker makes of an env-file: docker/cli, pkg/kvfile.
func dockerReads(t *testing.T, text string) (values []string) {
	t.Helper()
	scanner := bufio.NewScanner(strings.NewReader(text))
	for n := 1; scanner.Scan(); n++ {
		line := scanner.Text()
		if !utf8.ValidString(line) {
			t.Fatalf("line %d is not UTF-8", n)
		}
		if n == 1 {
			line = strings.TrimPrefix(line, "\ufeff")
		}
		line = strings.TrimLeftFunc(line, unicode.IsSpace)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, found := strings.Cut(line, "=")
		if !found || name != fmt.Sprintf("K%d", len(values)) {
			t.Fatalf("line %d is %.40q", n, line)
		}
		values = append(values, value)
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
	return values
}

func TestDockerReadsTheDockerFormat(t *testing.T) {
	t.Parallel()
	values := carried(api.FormatDocker)
	largest := strings.Repeat("v", maxDockerLine-len("K1000=")-len("\n"))
	secrets := secretsOf(append(values, largest))
	if diff := cmp.Diff(append(values, largest), dockerReads(t, written(t, api.FormatDocker, secrets))); diff != "" {
		t.Errorf("-want +got:\n%.2000s", diff)
	}
}

func TestK8sFormat(t *testing.T) {
	t.Parallel()
	var manifest struct {
		APIVersion, Kind, Type string
		Metadata               struct{ Name string }
		Data                   map[string]string
	}
	values := nastyValues()
	for i, name := range []string{"shop-production", "2026-01-31", "1-2", "no"} {
		text, err := Write(api.FormatK8s, name, secretsOf(values))
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal([]byte(strings.Replace(text.Content.Reveal(), "apiVersion", "apiversion", 1)), &manifest); err != nil {
			t.Fatal(err)
		}
		if manifest.APIVersion != "v1" || manifest.Kind != "Secret" || manifest.Type != "Opaque" || manifest.Metadata.Name != name {
			t.Errorf("%d: the head is %v %v %v %v", i, manifest.APIVersion, manifest.Kind, manifest.Type, manifest.Metadata)
		}
		if i > 0 && !strings.Contains(text.Content.Reveal(), `name: "`+name) && !strings.Contains(text.Content.Reveal(), "name: "+name) {
			t.Errorf("the name %s is not there", name)
		}
	}
	for i, v := range values {
		got, err := base64.StdEncoding.DecodeString(manifest.Data[fmt.Sprintf("K%d", i)])
		if err != nil || string(got) != v {
			t.Errorf("%q became %q: %v", v, got, err)
		}
	}
}

// TestWhatAFormatCanNotCarryIsRefused by the names of all such secrets, and
// without their values.
func TestWhatAFormatCanNotCarryIsRefused(t *testing.T) {
	t.Parallel()
	const canary = "hunter2"
	secret := func(key, value string) Secret { return Secret{Key: key, Value: api.NewValue(value)} }
	fine := secret("FINE", canary)
	large := strings.Repeat("v", api.MaxValueBytes)
	for _, c := range []struct {
		format  string
		secrets []Secret
		refused []string
	}{
		{api.FormatDocker, []Secret{secret("A", canary+"\n"), fine, secret("B", canary+"\r"), secret("C", "\n"), secret("D", large)}, []string{"A", "B", "C", "D"}},
		{api.FormatShell, []Secret{secret("UID", canary), fine, secret("SECONDS", canary)}, []string{"UID", "SECONDS"}},
		{api.FormatTFVars, []Secret{secret("version", canary), fine, secret("A", canary+"e\u0301")}, []string{"version", "A"}},
		{api.FormatK8s, []Secret{secret(strings.Repeat("A", 254), canary), fine}, []string{strings.Repeat("A", 254)}},
		{api.FormatK8s, secretsOf(strings.Split(strings.Repeat(large+" ", 17), " ")), []string{""}},
		{"xml", []Secret{fine}, []string{""}},
	} {
		text, err := Write(c.format, "x", c.secrets)
		var bad *Error
		if !errors.As(err, &bad) || text.Content.Len() > 0 {
			t.Errorf("%s: %v", c.format, err)
			continue
		}
		var keys []string
		for _, p := range bad.Problems {
			keys = append(keys, p.Key)
		}
		if diff := cmp.Diff(c.refused, keys); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.format, diff)
		}
		if strings.Contains(err.Error(), canary) {
			t.Errorf("%s: the error repeats a value", c.format)
		}
	}
}

func TestNothingIsText(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{
		api.FormatDotenv: "", api.FormatShell: "", api.FormatDocker: "", api.FormatTFVars: "",
		api.FormatJSON: "{}\n", api.FormatYAML: "{}\n",
		api.FormatK8s: "apiVersion: v1\nkind: Secret\nmetadata:\n  name: shop-production\ntype: Opaque\ndata: {}\n",
	} {
		if got := written(t, format, nil); got != want {
			t.Errorf("%s: %q", format, got)
		}
	}
}

// TestCaveatsOfDotenvAreNoted with the key and without the value.
func TestCaveatsOfDotenvAreNoted(t *testing.T) {
	t.Parallel()
	text, err := Write(api.FormatDotenv, "x", secretsOf([]string{"plain", "line\nbreak"}))
	if err != nil || len(text.Notes) != 1 || text.Notes[0].Key != "K1" || strings.Contains(text.Notes[0].Text, "break\n") {
		t.Errorf("%v, %v", text.Notes, err)
	}
}
