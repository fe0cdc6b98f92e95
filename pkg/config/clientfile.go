package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// ProjectFileName is the file in a repository that says which server, project
// and environment its secrets come from. It is meant to be committed, so it must
// not hold a token.
const ProjectFileName = "heartlock.yaml"

// clientFile is the content of heartlock.yaml or of the user's file.
type clientFile struct {
	path                         string // "" when there is no such file
	server, project, environment string
}

func (f clientFile) value(text string) ClientValue { return ClientValue{text, f.path} }

// clientFiles reads both files. Without a working directory there is no
// heartlock.yaml to be found.
func clientFiles(o ClientOptions, errs *Errors) (project, user clientFile) {
	dir, err := filepath.Abs(o.WorkDir)
	if err != nil {
		errs.add("working directory", "", "can not be found: %s", fileReason(err))
	} else {
		project = findProjectFile(dir, errs)
	}
	if path := userConfigFile(o); path != "" && path != project.path {
		user, _ = readClientFile(path, errs)
	}
	return project, user
}

// findProjectFile looks in dir and the directories above it. A file that a
// stranger can have left there (in /tmp, say) would choose the server that the
// token goes to, so it is an error.
func findProjectFile(dir string, errs *Errors) clientFile {
	for {
		path := filepath.Join(dir, ProjectFileName)
		if plantable(path, os.Geteuid()) {
			errs.add(path, "", "belongs to another user and lies in a directory where everybody can write, so it is not used; move or remove it")
			return clientFile{path: path}
		}
		if file, exists := readClientFile(path, errs); exists {
			return file
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return clientFile{}
		}
		dir = parent
	}
}

// readClientFile reads one file. exists is true even when the file is wrong.
func readClientFile(path string, errs *Errors) (file clientFile, exists bool) {
	text, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return clientFile{}, false
	}
	file = clientFile{path: path}
	if err != nil {
		errs.add(path, "", "can not be read: %s", fileReason(err))
		return file, true
	}
	var document, second yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF): // nothing but comments
		return file, true
	case err != nil:
		errs.add(path, "", "%s", yamlProblem(err))
		return file, true
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		errs.add(path, "", "there is more than one YAML document in it")
		return file, true
	}
	if root := document.Content[0]; root.Tag != "!!null" {
		file.fill(root, errs)
	}
	return file, true
}

// yamlProblem keeps of the decoder's error the line alone: the rest may repeat a
// part of the text.
func yamlProblem(err error) string {
	if line := regexp.MustCompile(`line (\d+)`).FindString(err.Error()); line != "" {
		return line + ": this is not valid YAML"
	}
	return "this is not valid YAML"
}

// fill takes the known keys and refuses all others, also such as are written in
// another case.
func (f *clientFile) fill(root *yaml.Node, errs *Errors) {
	if root.Kind != yaml.MappingNode {
		errs.add(f.path, "", "line %d: write key: value lines (server, project, environment)", root.Line)
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		if seen[key.Value] {
			errs.add(f.path, "", "line %d: %s stands here for the second time", key.Line, shownKey(key.Value))
			continue
		}
		seen[key.Value] = true
		if problem := f.set(key.Value, value); problem != "" {
			errs.add(f.path, "", "line %d: %s", key.Line, problem)
		}
	}
}

func (f *clientFile) set(key string, value *yaml.Node) (problem string) {
	var target *string
	switch key {
	case "server":
		target = &f.server
	case "project":
		target = &f.project
	case "environment":
		target = &f.environment
		if value.Kind == yaml.MappingNode {
			return "environment is the name of one environment; a map from git branches to environments is not supported"
		}
	case "token":
		return fmt.Sprintf("a token does not belong into this file, which others may read or commit; remove it (and revoke it, if the file was shared), and use `heartlock login`, %s or %s", varToken, flagTokenFile)
	default:
		return fmt.Sprintf("%s is not a known key; the keys are server, project and environment", shownKey(key))
	}
	if value.Kind != yaml.ScalarNode {
		return key + " is not a single text"
	}
	switch value.Tag {
	case "!!str", "!!int": // "project: 42" means the name "42", as it is written
		*target = value.Value
	case "!!null":
	default:
		return key + " is not a text; put it in quotes"
	}
	return ""
}

// shownKey is a key as messages name it. What does not look like one is left out:
// somebody may have pasted a token.
func shownKey(key string) string {
	if len(key) > 30 || strings.Trim(strings.ToLower(key), "abcdefghijklmnopqrstuvwxyz_-") != "" {
		return "this"
	}
	return strconv.Quote(key)
}
