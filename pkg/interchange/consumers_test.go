package interchange

import (
	"bytes"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/api"
)

// The programs that the formats are for are not on every machine. So what they made
// of a file that Write has written is kept in testdata/consumers, and the test
// holds both to what Write writes now. -consumers asks the programs again: docker,
// kubectl, terraform, and Python with PyYAML.
var askConsumers = flag.Bool("consumers", false, "ask docker, kubectl, terraform and PyYAML, and keep their answers")

// consumers say what a program makes of a file: the values of K0, K1, …
var consumers = map[string]func(t *testing.T, file string, n int) []string{
	api.FormatTFVars: askTerraform,
	api.FormatK8s:    askKubectl,
	api.FormatDocker: askDocker,
	api.FormatYAML:   askPyYAML,
}

func TestTheProgramsReadWhatIsWrittenForThem(t *testing.T) {
	t.Parallel()
	for format, ask := range consumers {
		values := carried(format)
		text := written(t, format, secretsOf(values))
		file, answer := filepath.Join("testdata", "consumers", format), filepath.Join("testdata", "consumers", format+".read.json")
		if *askConsumers {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			keep(t, answer, ask(t, file, len(values)))
		}
		if kept := string(fixtureFile(t, filepath.Join("consumers", format))); kept != text {
			t.Errorf("%s is written otherwise than when its program was asked; ask again with -consumers", format)
		}
		var read []string
		if err := json.Unmarshal(fixtureFile(t, filepath.Join("consumers", format+".read.json")), &read); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(values, read); diff != "" {
			t.Errorf("%s (-want +got):\n%.3000s", format, diff)
		}
	}
}

func keep(t *testing.T, file string, values []string) {
	t.Helper()
	text, err := json.Marshal(values, jsontext.WithIndent(" "))
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// run is the output of a program.
func run(t *testing.T, input string, environment []string, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(input)
	cmd.Env = append(os.Environ(), environment...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %.2000s", name, err, complaints.String())
	}
	return out
}

// askTerraform evaluates the variables: in base64, because the console prints
// text in quotes of HCL again.
func askTerraform(t *testing.T, file string, n int) (values []string) {
	dir := t.TempDir()
	var variables, names strings.Builder
	for i := range n {
		fmt.Fprintf(&variables, "variable \"K%d\" {\n  type = string\n}\n", i)
		fmt.Fprintf(&names, "var.K%d,", i)
	}
	if err := os.WriteFile(filepath.Join(dir, "main.tf"), []byte(variables.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	absolute, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	out := run(t, "base64encode(jsonencode(["+names.String()+"]))\n", nil, "terraform", "-chdir="+dir, "console", "-var-file="+absolute)
	text, err := base64.StdEncoding.DecodeString(strings.Trim(string(out), "\"\n"))
	if err == nil {
		err = json.Unmarshal(text, &values)
	}
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// askKubectl has the manifest decoded with the types of Kubernetes.
func askKubectl(t *testing.T, file string, n int) (values []string) {
	out := run(t, "", nil, "kubectl", "annotate", "--local", "-f", file, "a=b", "-o", "json")
	var secret struct {
		Data map[string][]byte `json:"data"`
	}
	if err := json.Unmarshal(out, &secret); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		values = append(values, string(secret.Data[fmt.Sprintf("K%d", i)]))
	}
	return values
}

// askDocker has the client read the env-file; a server that stands in for the
// daemon sees what comes of it.
func askDocker(t *testing.T, file string, n int) (values []string) {
	var created struct{ Env []string }
	daemon := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("API-Version", "1.43")
		w.Header().Set("Content-Type", "application/json")
		if !strings.HasSuffix(r.URL.Path, "/containers/create") {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(body, &created)
		}
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"Id":"1","Warnings":[]}`)
	}))
	defer daemon.Close()
	run(t, "", []string{"DOCKER_HOST=tcp://" + daemon.Listener.Addr().String()}, "docker", "create", "--env-file", file, "image")
	if len(created.Env) != n {
		t.Fatalf("docker read %d variables", len(created.Env))
	}
	for i, line := range created.Env {
		values = append(values, strings.TrimPrefix(line, fmt.Sprintf("K%d=", i)))
	}
	return values
}

// askPyYAML reads with a parser of YAML 1.1 that is not the one we write with.
func askPyYAML(t *testing.T, file string, n int) (values []string) {
	out := run(t, "", nil, "python3", "-c", "import json,sys,yaml\njson.dump(yaml.safe_load(open(sys.argv[1],'rb')),sys.stdout)", file)
	var read map[string]string
	if err := json.Unmarshal(out, &read); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		values = append(values, read[fmt.Sprintf("K%d", i)])
	}
	return values
}
