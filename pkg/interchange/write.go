package interchange

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/dotenv"
)

// Text is secrets as the text of a file.
type Text struct {
	Content   api.Value
	Extension string // of the file's name: ".env"
	MediaType string
	Notes     []Note // what some readers of the format take for something else
}

// writer is one format of text.
type writer struct {
	extension, mediaType string
	// refuse says why a secret can not be written, or "". What it lets pass comes
	// back from a reader of the format byte for byte.
	refuse func(Secret) string
	write  func(b *bytes.Buffer, name string, secrets []Secret) ([]Note, error)
}

const plainText = "text/plain; charset=utf-8"

// writerOf is the writer of a format of api.ExportFormats, or nil.
func writerOf(format string) *writer {
	switch format {
	case api.FormatDotenv:
		return &writer{".env", plainText, nil, writeDotenv}
	case api.FormatShell:
		return &writer{".sh", plainText, refuseShell, writeShell}
	case api.FormatDocker:
		return &writer{".docker.env", plainText, refuseDocker, writeDocker}
	case api.FormatJSON:
		return &writer{".json", "application/json", nil, writeJSON}
	case api.FormatYAML:
		return &writer{".yaml", "application/yaml", nil, writeYAML} // RFC 9512
	case api.FormatK8s:
		return &writer{".secret.yaml", "application/yaml", refuseK8s, writeK8s}
	case api.FormatTFVars:
		return &writer{".tfvars", plainText, refuseTFVars, writeTFVars}
	}
	return nil
}

// Write is secrets as text of one of api.ExportFormats, in their order. Whatever
// the values are, a program that reads the format gets exactly them; what the
// format can not carry is refused: the error is an [*Error] that names all such
// secrets. name is what a Kubernetes Secret is called: a lower-case DNS name.
//
// The keys must be ones that the API takes, each once.
func Write(format, name string, secrets []Secret) (Text, error) {
	w := writerOf(format)
	if w == nil {
		return Text{}, &Error{[]Problem{{Reason: "No format of this name is known. The formats are " + strings.Join(api.ExportFormats(), ", ") + "."}}}
	}
	var bad Error
	for _, s := range secrets {
		if w.refuse == nil {
			break
		}
		if reason := w.refuse(s); reason != "" {
			bad.Problems = append(bad.Problems, Problem{Key: s.Key, Reason: reason})
		}
	}
	if len(bad.Problems) > 0 {
		return Text{}, &bad
	}
	var b bytes.Buffer
	notes, err := w.write(&b, name, secrets)
	if err != nil {
		return Text{}, err
	}
	return Text{Content: api.NewValue(b.String()), Extension: w.extension, MediaType: w.mediaType, Notes: notes}, nil
}

func writeDotenv(b *bytes.Buffer, _ string, secrets []Secret) (notes []Note, _ error) {
	for _, s := range secrets {
		line, caveats := dotenv.Format(s.Key, s.Value.Reveal())
		b.WriteString(line)
		for _, c := range caveats {
			notes = append(notes, Note{Key: s.Key, Text: "The value " + c + "."})
		}
	}
	return notes, nil
}

func writeShell(b *bytes.Buffer, _ string, secrets []Secret) ([]Note, error) {
	for _, s := range secrets {
		b.WriteString(dotenv.FormatShell(s.Key, s.Value.Reveal()))
	}
	return nil, nil
}

// shellsOwn are the variables that sh or bash does not let anybody set, gives
// another value than what they are set to, or checks. (In bash they are those that
// its manual lists under "Shell Variables" as readonly, as losing their special
// properties when they are unset, or as numbers; in dash PPID and OPTIND.)
var shellsOwn = []string{
	"_", "BASHOPTS", "BASH_COMPAT", "BASHPID", "BASH_ARGC", "BASH_ARGV", "BASH_ARGV0", "BASH_CMDS", "BASH_COMMAND", "BASH_LINENO",
	"BASH_REMATCH", "BASH_SOURCE", "BASH_SUBSHELL", "BASH_VERSINFO", "BASH_XTRACEFD", "BASH_ALIASES", "COMP_WORDBREAKS", "DIRSTACK",
	"EPOCHREALTIME", "EPOCHSECONDS", "EUID", "FUNCNAME", "GROUPS", "HISTCMD", "LINENO", "OPTIND", "PIPESTATUS",
	"PPID", "RANDOM", "SECONDS", "SHELLOPTS", "SHLVL", "SRANDOM", "UID",
}

func refuseShell(s Secret) string {
	if slices.Contains(shellsOwn, s.Key) {
		return "It is a variable of the shell itself, which does not keep every value."
	}
	return ""
}

// maxDockerLine is how long a line of an env-file may be, with its end: docker
// reads lines through a buffer of 64 KiB.
const maxDockerLine = 64<<10 - 1

// refuseDocker holds a secret to what docker's reader (pkg/kvfile of docker/cli)
// does: everything from the first "=" to the end of the line is the value, there
// are neither quotes nor escapes, and a carriage return before the end of the line
// belongs to that.
func refuseDocker(s Secret) string {
	value := s.Value.Reveal()
	switch {
	case strings.Contains(value, "\n"):
		return "The value holds line breaks, which docker's env-files have no way to write."
	case strings.HasSuffix(value, "\r"):
		return "The value ends with a carriage return, which docker takes for a part of the line's end."
	case len(s.Key)+len("=")+len(value)+len("\n") > maxDockerLine:
		return "The value is longer than docker reads from a line of an env-file."
	}
	return ""
}

func writeDocker(b *bytes.Buffer, _ string, secrets []Secret) ([]Note, error) {
	for _, s := range secrets {
		b.WriteString(s.Key + "=" + s.Value.Reveal() + "\n")
	}
	return nil, nil
}

func writeJSON(b *bytes.Buffer, _ string, secrets []Secret) ([]Note, error) {
	out := jsontext.NewEncoder(b, jsontext.WithIndent("  "))
	tokens := []jsontext.Token{jsontext.BeginObject}
	for _, s := range secrets {
		tokens = append(tokens, jsontext.String(s.Key), jsontext.String(s.Value.Reveal()))
	}
	for _, t := range append(tokens, jsontext.EndObject) {
		if err := out.WriteToken(t); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// writeYAML puts every value into double quotes, in which YAML 1.1 and 1.2 agree
// about everything: nothing is taken for a number, a date or "no".
func writeYAML(b *bytes.Buffer, _ string, secrets []Secret) ([]Note, error) {
	document := &yaml.Node{Kind: yaml.MappingNode}
	for _, s := range secrets {
		document.Content = append(document.Content, yamlText(s.Key, keyStyle(s.Key)), yamlText(s.Value.Reveal(), yaml.DoubleQuotedStyle))
	}
	if len(secrets) == 0 {
		document.Style = yaml.FlowStyle // {}
	}
	return nil, encodeYAML(b, document)
}

func yamlText(text string, style yaml.Style) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text, Style: style}
}

// keyStyle quotes the names that YAML 1.1 takes for a boolean or for nothing.
func keyStyle(key string) yaml.Style {
	switch strings.ToLower(key) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null":
		return yaml.DoubleQuotedStyle
	}
	return 0
}

func encodeYAML(b *bytes.Buffer, document *yaml.Node) error {
	out := yaml.NewEncoder(b)
	out.SetIndent(2)
	if err := out.Encode(document); err != nil {
		return fmt.Errorf("encode YAML: %w", err)
	}
	return out.Close()
}
