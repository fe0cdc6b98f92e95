//go:build unix

package cmd

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestThePassphraseOfABackupIsAskedForAndNotShown(t *testing.T) {
	t.Parallel()
	const phrase = "correct horse battery"
	i := install(t, "")
	file := filepath.Join(i.cli.workDir, "one.backup")
	asked := func(first, second string, want int) *screen {
		s := newScreen(t)
		code := s.start(i.shell, "backup", "--passphrase", "one.backup")
		s.see("Passphrase of the backup: ")
		s.waitForHiddenInput()
		s.press(first + "\n")
		s.see("The same once more: ")
		s.waitForHiddenInput()
		s.press(second + "\n")
		s.wantCode(code, want)
		if strings.Contains(s.text(), first) {
			t.Errorf("the terminal shows the passphrase: %q", s.text())
		}
		return s
	}
	asked(phrase, phrase+"s", 2).see("are not the same. Nothing was written.")
	if _, err := os.Lstat(file); err == nil {
		t.Error("there is a file")
	}
	asked("too short", "too short", 2).see("it needs at least 12")
	asked(phrase, phrase, 0).see("encrypted to the passphrase")

	for _, c := range []struct {
		typed, see string
		want       int
	}{
		{"another passphrase", "is not the one of this backup", 2},
		{phrase, "Every sum is right", 0},
	} {
		s := newScreen(t)
		code := s.start(i.shell, "restore", "--verify", "one.backup")
		s.see("Passphrase of the backup: ")
		s.waitForHiddenInput()
		s.press(c.typed + "\n")
		s.wantCode(code, c.want)
		s.see(c.see)
	}
}

// TestAPassphraseFileMayEndALine has one passphrase with each end of a line.
func TestAPassphraseFileMayEndALine(t *testing.T) {
	t.Parallel()
	i := install(t, "")
	for name, text := range map[string]string{"none": "correct horse battery", "lf": "correct horse battery\n", "crlf": "correct horse battery\r\n", "two": "correct horse battery\n\n"} {
		if err := os.WriteFile(filepath.Join(i.cli.workDir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := i.run("", "backup", "--passphrase-file", "crlf", "one.backup"); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	for name, want := range map[string]int{"none": 0, "lf": 0, "two": 2} {
		if got := i.run("", "restore", "--verify", "--passphrase-file", name, "one.backup"); got.code != want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestABackupReplacesNothingUnasked(t *testing.T) {
	t.Parallel()
	i := install(t, "")
	at := func(name string) string { return filepath.Join(i.cli.workDir, name) }
	if err := os.WriteFile(at("precious"), []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		os.Symlink("precious", at("link")), os.Symlink("nowhere", at("dangling")), os.Mkdir(at("folder"), 0o755), os.WriteFile(at("folder/x"), nil, 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"precious", "link", "dangling", "folder"} {
		if got := i.run("", "backup", name); got.code != 6 || !strings.Contains(got.stderr, "is there already. Nothing was written") {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := i.run("", "backup", "--force", "folder"); got.code != 7 || !strings.Contains(got.stderr, "folder can not be written: ") {
		t.Errorf("a folder: %+v", got)
	}
	// What a link points to is not touched: the link itself is replaced.
	for _, name := range []string{"link", "dangling"} {
		if got := i.run("", "backup", "--force", name); got.code != 0 {
			t.Errorf("%s: %+v", name, got)
		}
		info, err := os.Lstat(at(name))
		if err != nil || !info.Mode().IsRegular() || info.Mode().Perm() != 0o600 {
			t.Errorf("%s is %v, %v", name, info, err)
		}
	}
	if text, err := os.ReadFile(at("precious")); err != nil || string(text) != "precious" {
		t.Errorf("precious is %q, %v", text, err)
	}
	entries, err := os.ReadDir(i.cli.workDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".part") {
			t.Errorf("%s is left", e.Name())
		}
	}
}

func TestWhatIsNoBackupIsNotRestored(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	at := func(name string) string { return filepath.Join(s.cli.workDir, name) }
	if err := errors.Join(os.Mkdir(at("folder"), 0o700), syscall.Mkfifo(at("pipe"), 0o600), os.WriteFile(at("text"), []byte("text\n"), 0o600), os.WriteFile(at("empty"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"folder": "is no regular file", "pipe": "is no regular file", "/dev/zero": "is no regular file",
		"text": "no backup of Heartlock", "empty": "no backup of Heartlock", "nowhere": "can not be read: no such file",
	} {
		for _, args := range [][]string{{"restore", name}, {"restore", "--verify", name}} {
			if got := s.run("", args...); got.code != 1 && got.code != 2 || !strings.Contains(got.stderr, want) {
				t.Errorf("%v: %+v", args, got)
			}
		}
	}
	if entries, err := os.ReadDir(s.cli.workDir); err != nil || len(entries) != 4 {
		t.Errorf("there are %v, %v", entries, err)
	}
}

func TestCheckKnowsTheScheduleOfBackups(t *testing.T) {
	t.Parallel()
	i := install(t, "")
	if got := i.run("", "backup", "one.backup"); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	check := func(age string, environ ...string) string {
		t.Helper()
		i.exec("UPDATE backups SET taken_at = CAST(strftime('%s', 'now', '-" + age + "') AS INTEGER) * 1000000")
		s := *i.shell.cli
		other := &shell{t: t, ctx: i.ctx, cli: &s}
		other.cli.environ = append(append([]string{}, s.environ...), environ...)
		got := other.run("", "check", "--deploy")
		for line := range strings.Lines(got.stdout + got.stderr) {
			if strings.Contains(line, "ackups") && strings.Contains(line, "latest") {
				return line
			}
		}
		return got.stdout + got.stderr
	}
	hourly := []string{"HEARTLOCK_BACKUP_DIR=" + t.TempDir(), "HEARTLOCK_BACKUP_INTERVAL=3600"}
	for _, c := range []struct {
		age     string
		environ []string
		want    string
		not     string
	}{
		{"6 days", nil, "the latest is", "ago"},
		{"8 days", nil, "ago. Make one with", "is 8"},
		{"100 minutes", hourly, "the latest is", "ago"}, // an hour to come due, an hour to be made
		{"130 minutes", hourly, "ago. The server makes them by itself", "old"},
	} {
		if got := check(c.age, c.environ...); !strings.Contains(got, c.want) || strings.Contains(got, c.not) {
			t.Errorf("%s old, %v: %s", c.age, c.environ, got)
		}
	}
}
