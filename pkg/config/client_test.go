package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/fault"
)

// clientFixture has a project directory with a directory below it, in which the
// client runs, and a user's configuration file.
type clientFixture struct {
	*fixture
	o ClientOptions
}

func newClientFixture(t *testing.T, environ ...string) *clientFixture {
	f := newFixture(t)
	if err := os.MkdirAll(filepath.Join(f.root, "project", "deep", "down"), 0o700); err != nil {
		t.Fatal(err)
	}
	return &clientFixture{f, ClientOptions{
		WorkDir: filepath.Join(f.root, "project", "deep", "down"), UserConfigFile: filepath.Join(f.root, "user.yaml"),
		Environ: append([]string{}, environ...),
	}}
}

func (f *clientFixture) project(content string) *clientFixture {
	f.write("project/heartlock.yaml", content, 0o644)
	return f
}

func (f *clientFixture) user(content string) *clientFixture {
	f.write("user.yaml", content, 0o600)
	return f
}

func (f *clientFixture) load() *Client {
	f.t.Helper()
	c, err := LoadClient(f.o)
	if err != nil {
		f.t.Fatalf("LoadClient: %v", err)
	}
	return c
}

func (f *clientFixture) fails(parts ...string) {
	f.t.Helper()
	c, err := LoadClient(f.o)
	if err == nil || c != nil || !errors.Is(err, fault.Usage) {
		f.t.Errorf("LoadClient: %v, %v; want %q", c, err, parts)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			f.t.Errorf("%v, want %q", err, part)
		}
	}
	if strings.Contains(err.Error(), canary) {
		f.t.Errorf("the error shows the secret: %v", err)
	}
}

func TestClientDefaults(t *testing.T) {
	t.Parallel()
	c := newClientFixture(t).load()
	if diff := cmp.Diff(&Client{Server: ClientValue{"http://localhost:8082", "default"}}, c); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestClientPrecedence(t *testing.T) {
	t.Parallel()
	f := newClientFixture(t).user("server: https://user\nproject: user\nenvironment: user\n")
	userFile, projectFile := f.o.UserConfigFile, filepath.Join(f.root, "project", "heartlock.yaml")
	check := func(server, name, source string, flags [3]string) {
		t.Helper()
		c := f.load()
		got := []ClientValue{c.Server, c.Project, c.Environment}
		want := []ClientValue{{server, source}, {name, source}, {name, source}}
		for i, flag := range flags {
			if flag != "" {
				want[i].Source = flag
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
	check("https://user", "user", userFile, [3]string{})
	f.project("# ours\nserver: HTTPS://Project/\nproject: 'project'\nenvironment: project\n")
	check("https://project", "project", projectFile, [3]string{})
	if f.load().ProjectFile != projectFile {
		t.Errorf("ProjectFile = %q", f.load().ProjectFile)
	}
	f.o.Environ = []string{"HEARTLOCK_SERVER=https://env", "HEARTLOCK_PROJECT=env", "HEARTLOCK_ENVIRONMENT=env"}
	check("https://env", "env", "", [3]string{varServer, varProject, varEnvironment})
	f.o.Server, f.o.Project, f.o.Environment = "https://flag", "flag", "flag"
	check("https://flag", "flag", "", [3]string{flagServer, flagProject, flagEnvironment})
	f.o.Server, f.o.Environ = "", []string{"HEARTLOCK_SERVER="}
	if got := f.load().Server.Text; got != "https://project" {
		t.Errorf("an empty variable counts: %q", got)
	}
}

func TestNearestProjectFileCounts(t *testing.T) {
	t.Parallel()
	f := newClientFixture(t).project("project: far\nenvironment: far\n")
	f.write("project/deep/heartlock.yaml", "project: near\n", 0o644)
	if c := f.load(); c.Project.Text != "near" || c.Environment.Text != "" {
		t.Errorf("%+v %+v", c.Project, c.Environment)
	}
}

func TestServerURL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://h":                "https://h",
		"https://H:443/":           "https://h",
		"https://h:8443":           "https://h:8443",
		"http://localhost:8082":    "http://localhost:8082",
		"http://127.0.0.2":         "http://127.0.0.2",
		"http://[::1]:8082":        "http://[::1]:8082",
		"http://h":                 "",
		"http://localhost.evil":    "",
		"http://10.0.0.1":          "",
		"http://0.0.0.0:8082":      "",
		"h":                        "",
		"localhost:8082":           "",
		"ftp://h":                  "",
		"https://u:hunter2@h":      "",
		"https://h/x":              "",
		"https://h?hunter2":        "",
		"https://h#hunter2":        "",
		"https://localhost@evil":   "",
		"https://h\\@evil":         "",
		"https://h\r\nX-Header: x": "",
	} {
		got, err := ParseServerURL(text, false)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the error repeats a secret", text)
		}
	}
	if got, err := ParseServerURL("http://10.0.0.1:8082", true); err != nil || got != "http://10.0.0.1:8082" {
		t.Errorf("insecure: %q, %v", got, err)
	}
	newClientFixture(t, "HEARTLOCK_SERVER=http://h").fails("HEARTLOCK_SERVER", "--insecure-http")
}

func TestClientToken(t *testing.T) {
	t.Parallel()
	f := newClientFixture(t, "HEARTLOCK_TOKEN=hlp_env")
	if c := f.load(); c.Token.Reveal() != "hlp_env" || c.TokenSource != varToken {
		t.Errorf("source %q", c.TokenSource)
	}
	f.o.TokenFile = filepath.Join(f.root, "token")
	f.fails("--token-file", "no such file")
	f.write("token", "hlp_file\r\n", 0o600)
	if c := f.load(); c.Token.Reveal() != "hlp_file" || c.TokenSource != flagTokenFile || len(c.Warnings) != 0 {
		t.Errorf("source %q, warnings %q", c.TokenSource, c.Warnings)
	}
	f.write("token", "hlp_file", 0o644)
	if c := f.load(); len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "chmod 600") {
		t.Errorf("warnings %q", c.Warnings)
	}
	for _, bad := range []string{"", "\n", canary + " x", canary + "\nx", canary + "\x00", canary + "é", strings.Repeat(canary, 1000)} {
		f.write("token", bad, 0o600).t = t
		f.fails("token")
	}
	newClientFixture(t, "HEARTLOCK_TOKEN="+canary+" x").fails("token (HEARTLOCK_TOKEN)")
}

func TestClientFilesAreReadStrictly(t *testing.T) {
	t.Parallel()
	for content, part := range map[string]string{
		"token: " + canary:                           "a token does not belong into this file",
		"servr: https://h":                           `"servr" is not a known key`,
		"Server: https://h":                          `"Server" is not a known key`,
		"project: a\nproject: b":                     "line 2",
		canary + ": x":                               "this is not a known key",
		"environment:\n  main: prod\n":               "a map from git branches to environments is not supported",
		"environment: [a]":                           "not a single text",
		"project: true":                              "put it in quotes",
		"project: *" + canary:                        "not valid YAML",
		"project: \"" + canary:                       "not valid YAML",
		"project: a\n---\nserver: https://b":         "more than one YAML document",
		"- " + canary:                                "line 1: write key: value lines",
		canary:                                       "line 1: write key: value lines",
		"server: https://u:" + canary + "@h":         "user name or password",
		"project: \"a\\nb\"":                         "control character",
		"a: &a [x,x]\nb: &b [*a,*a]\nserver: *b\n\n": "not a",
	} {
		newClientFixture(t).project(content).fails("heartlock.yaml", part)
		newClientFixture(t).user(content).fails("user.yaml", part)
	}
	for _, content := range []string{"", "# nothing\n", "---\n", "server:\n", "project: 42\n", "{}"} {
		newClientFixture(t).project(content).load()
	}
	if got := newClientFixture(t).project("project: 042").load().Project.Text; got != "042" {
		t.Errorf("project %q", got)
	}
}

func TestProjectFileOfAStranger(t *testing.T) {
	t.Parallel()
	f := newClientFixture(t).project("server: https://evil\n")
	dir := filepath.Join(f.root, "project")
	path, stranger := filepath.Join(dir, "heartlock.yaml"), os.Geteuid()+1
	if os.Geteuid() == 0 { // root's files are trusted by everybody, so this one is given away
		if err := os.Chown(path, 12345, 12345); err != nil {
			t.Fatal(err)
		}
	}
	f.load()
	if plantable(path, stranger) {
		t.Error("a checkout that belongs to another user is usual in CI")
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if !plantable(path, stranger) {
		t.Error("a stranger's file in a directory for everybody is used")
	}
	if os.Geteuid() == 0 {
		f.fails("belongs to another user")
	} else {
		f.load() // it is our own
	}
}
