package dotenv

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// nastyValues are the single characters that mean something to a reader, pairs
// of them, and what has broken other exporters.
func nastyValues() []string {
	values := []string{
		"", "plain", "a b", " leading", "trailing ", "\ttabs\t", "x#y", "x #y", "#", "a=b", "=", "export X=1",
		"$(touch pwn)", "`touch pwn`", "${HOME}", "$HOME", "'$(touch pwn)'", `"$(touch pwn)"`, `'"$(touch pwn)`, `\'$(touch pwn)`,
		`'; touch pwn; '`, `"; touch pwn; "`, "\n touch pwn\n", "'\ntouch pwn\n'", "\"\ntouch pwn\n\"", `\`, `\\`, `\\\`, `a\`, `\n`, `a\nb`, `\'`, `\"`,
		"line\nbreak", "\n", "\r\n", "\r", "end\n", "-----BEGIN KEY-----\nMII+/=\n-----END KEY-----\n",
		"it's", `say "hi"`, `it's "both"`, `it's $5`, "ümläut 🙂", "\u2028", "~", "~root", "*", "!!", "a!b", "a;b", "a&b", "a|b", "(", "<x>", "{a,b}",
		"\x01\x1b[31m", "\x7f", "\ufeff", strings.Repeat("x'\"$`\\", 2000),
	}
	special := []string{"'", `"`, "$", "`", `\`, "#", "=", " ", "\n", "\r", "\t", "x", "(", "!", "{"}
	for _, a := range special {
		for _, b := range special {
			values = append(values, a+b, "x"+a+b+"x")
		}
	}
	return values
}

func key(i int) string { return fmt.Sprintf("K%d", i) }

func TestParseReadsWhatFormatWrites(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	var want []Entry
	for i, v := range nastyValues() {
		line, _ := Format(key(i), v)
		if strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") {
			t.Errorf("%q became %q, which is not one line", v, line)
		}
		text.WriteString(line)
		want = append(want, Entry{key(i), v, i + 1})
	}
	got, err := Parse([]byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestFormatChoosesTheFormThatMostReadersTake(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value, line string
		caveats     []string
	}{
		{"", "K=''", nil},
		{"postgres://u:p@db/x?a=b", "K='postgres://u:p@db/x?a=b'", nil},
		{"a/b:c@d%e+f,g=h-i", "K=a/b:c@d%e+f,g=h-i", nil},
		{"$(id) `id`", "K='$(id) `id`'", nil},
		{`a\nb`, `K='a\nb'`, nil},
		{`a\\b`, `K="a\\\\b"`, []string{caveatEscapes}},       // python-dotenv takes \\ in single quotes for one backslash,
		{`a\`, `K="a\\"`, []string{caveatEscapes, caveatEnd}}, // and \' for a quote that does not close
		{"it's", `K="it's"`, nil},
		{`it's \`, `K="it's \\"`, []string{caveatEscapes, caveatEnd}},
		{`it's "$5"`, `K="it's \"\$5\""`, []string{caveatEscapes}},
		{"a\nb", `K="a\nb"`, []string{caveatBreaks}},
		{"${X}", "K='${X}'", []string{caveatBraces}},
	} {
		line, caveats := Format("K", c.value)
		if diff := cmp.Diff(append([]string{c.line + "\n"}, c.caveats...), append([]string{line}, caveats...)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.value, diff)
		}
	}
}

// shells are those that scripts/test.sh can rely on: sh, which is dash on
// Debian, and bash, which runs it.
func shells(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, name := range []string{"sh", "bash"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatalf("this test needs the shell %s: apt-get install %s", name, strings.Replace(name, "sh", "dash", 1))
		}
		found = append(found, path)
	}
	return found
}

// source has a shell source the text with every variable exported, and returns
// what a program started from it sees. It fails if anything in the text ran.
func source(t *testing.T, shell, text string, n int) []string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	script.WriteString("set -a; . ./f; ")
	for i := range n {
		fmt.Fprintf(&script, "printf '%%s\\0' \"$%s\"; ", key(i))
	}
	if err := os.WriteFile(filepath.Join(dir, "s"), []byte(script.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(shell, "s")
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

// TestShellsReadEveryValueOfFormatShell: whatever it is, and nothing runs.
func TestShellsReadEveryValueOfFormatShell(t *testing.T) {
	t.Parallel()
	values := nastyValues()
	var text strings.Builder
	for i, v := range values {
		text.WriteString(FormatShell(key(i), v))
	}
	for _, shell := range shells(t) {
		if diff := cmp.Diff(values, source(t, shell, text.String(), len(values))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", shell, diff)
		}
	}
}

// TestShellsRunNothingOfFormat: values without line breaks come out exactly, and
// in those with line breaks these are \n, as the caveat says.
func TestShellsRunNothingOfFormat(t *testing.T) {
	t.Parallel()
	values := nastyValues()
	var text strings.Builder
	want := make([]string, len(values))
	for i, v := range values {
		line, caveats := Format(key(i), v)
		text.WriteString(line)
		want[i] = strings.NewReplacer("\n", `\n`, "\r", `\r`).Replace(v)
		if warned := strings.Contains(strings.Join(caveats, " "), "line breaks"); warned != (want[i] != v) {
			t.Errorf("%q: the caveat about line breaks is said: %v", v, warned)
		}
	}
	for _, shell := range shells(t) {
		if diff := cmp.Diff(want, source(t, shell, text.String(), len(values))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", shell, diff)
		}
	}
}

// TestPythonReadsFormatShell: shlex, which splits as a POSIX shell does.
func TestPythonReadsFormatShell(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal("this test needs Python: apt-get install python3")
	}
	values := nastyValues()
	var text strings.Builder
	for i, v := range values {
		text.WriteString(FormatShell(key(i), v))
	}
	cmd := exec.Command(python, "-c", `import shlex,sys
words=shlex.split(sys.stdin.buffer.read().decode())
assert words[0::2]==["export"]*(len(words)//2)
sys.stdout.buffer.write("\0".join(w.split("=",1)[1] for w in words[1::2]).encode())`)
	cmd.Stdin = strings.NewReader(text.String())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if diff := cmp.Diff(values, strings.Split(string(out), "\x00")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestDoubts(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][]string{
		"K=v":                nil,
		"K='v' # c":          nil,
		"K='$HOME `id`'":     nil,
		"K=v # c":            {doubtComment},
		"K=v#c":              nil,
		"K= v":               {doubtSpace},
		"K=":                 nil,
		"K= ":                nil,
		"K=$HOME":            {doubtDollar},
		"export K=\"a${B}\"": {doubtDollar},
		`K="a\$B"`:           nil,
		"K=`id`":             {doubtDollar},
		"K=$(id)":            {doubtDollar},
		"K=cost 5$":          nil,
		"K=5$ # $X":          {doubtComment},
		"# K=$X":             nil,
		"K = $X":             nil, // not read at all
	} {
		var got []string
		for _, d := range Doubts([]byte("\n" + line + "\r\n")) {
			if d.Line != 2 {
				t.Errorf("%q is said to be in line %d", line, d.Line)
			}
			got = append(got, d.Reason)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", line, diff)
		}
	}
}

func FuzzFormat(f *testing.F) {
	for _, v := range nastyValues() {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, value string) {
		value = strings.ToValidUTF8(strings.ReplaceAll(value, "\x00", ""), "")
		line, _ := Format("K", value)
		got, err := Parse([]byte("A=1\n" + line + "B=2\n"))
		if diff := cmp.Diff([]Entry{{"A", "1", 1}, {"K", value, 2}, {"B", "2", 3}}, got); err != nil || diff != "" {
			t.Fatalf("%q: %v\n%s", value, err, diff)
		}
	})
}
