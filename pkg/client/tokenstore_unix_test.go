//go:build unix

package client

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The umask belongs to the process, so each one is tried in a process of its own.
func TestTokenStoreModesDoNotDependOnTheUmask(t *testing.T) {
	const dirVariable = "HEARTLOCK_TEST_STORE_DIR"
	if dir := os.Getenv(dirVariable); dir != "" {
		syscall.Umask(map[bool]int{true: 0o777 &^ 0o700, false: 0}[strings.HasSuffix(dir, "tight")])
		if err := NewTokenStore(dir).Put("https://one.example.com", entry("hlp_1")); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, name := range []string{"open", "tight"} {
		dir := filepath.Join(t.TempDir(), name)
		command := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		command.Env = append(os.Environ(), dirVariable+"="+dir)
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		s := NewTokenStore(dir)
		for path, want := range map[string]os.FileMode{dir: 0o700 | os.ModeDir, s.Path(): 0o600} {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode() != want {
				t.Errorf("umask %s: %s has mode %v, want %v", name, path, info.Mode(), want)
			}
		}
		if w := s.Warnings(); w != nil {
			t.Errorf("warnings %q", w)
		}
	}
}

func TestTokenStoreWarnsOfLooseModes(t *testing.T) {
	t.Parallel()
	s := NewTokenStore(filepath.Join(t.TempDir(), "store"))
	if err := s.Put("https://one.example.com", entry("hlp_1")); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{s.dir: 0o750, s.Path(): 0o604} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	w := s.Warnings()
	if len(w) != 2 || !strings.Contains(w[0], "chmod 700") || !strings.Contains(w[1], "0604") || !strings.Contains(w[1], "chmod 600") {
		t.Errorf("warnings %q", w)
	}
	if err := s.Put("https://two.example.com", entry("hlp_2")); err != nil {
		t.Fatal(err)
	}
	if w := s.Warnings(); len(w) != 1 {
		t.Errorf("the file is still loose after it was written: %q", w)
	}
}
