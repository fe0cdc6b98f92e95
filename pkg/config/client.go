package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// The variables of the client.
const (
	varServer      = "HEARTLOCK_SERVER"
	varToken       = "HEARTLOCK_TOKEN"
	varProject     = "HEARTLOCK_PROJECT"
	varEnvironment = "HEARTLOCK_ENVIRONMENT"
)

// The flags of the client, as its values name their sources.
const (
	flagServer      = "--server"
	flagTokenFile   = "--token-file"
	flagProject     = "--project"
	flagEnvironment = "--environment"
)

// DefaultServer is the server of a client that was not told any.
const DefaultServer = "http://localhost:8082"

// SourceDefault is the source of DefaultServer.
const SourceDefault = "default"

// Client is what a command that talks to a server needs to know.
type Client struct {
	Server      ClientValue // a normalised origin: "https://secrets.example.com"
	Token       Secret      // unset: the caller looks into the token store
	TokenSource string      // "--token-file", "HEARTLOCK_TOKEN", or "" when unset
	Project     ClientValue
	Environment ClientValue
	ProjectFile string   // the heartlock.yaml that was read; "" when there is none
	Warnings    []string // sentences for stderr
}

// ClientValue is a setting and where it was found.
type ClientValue struct {
	Text   string // "" when unset
	Source string // "--server", "HEARTLOCK_SERVER", a file's path, SourceDefault, or "" when unset
}

// ClientOptions is what the command line says and where the rest is looked for.
type ClientOptions struct {
	WorkDir        string   // heartlock.yaml is looked for here and upwards; "" = the working directory
	UserConfigFile string   // "" = heartlock/config.yaml in the user's configuration directory
	Environ        []string // KEY=value, as os.Environ gives it, which nil stands for

	Server       string // --server; "" = not given
	TokenFile    string // --token-file
	Project      string // --project
	Environment  string // --environment
	InsecureHTTP bool   // --insecure-http: plain http also beyond loopback
}

// LoadClient reads the settings of the client. Each comes from the first of
// these that has it: flag, environment, heartlock.yaml (in the working directory
// or the nearest one above it), the user's configuration file, default. The
// token comes from --token-file or HEARTLOCK_TOKEN and from no other file.
//
// The error is an [*Errors] with everything that is wrong, of kind fault.Usage.
// It never holds the token.
func LoadClient(o ClientOptions) (*Client, error) {
	c := &Client{}
	var errs Errors
	environment := readEnviron(o.Environ)
	project, user := clientFiles(o, &errs)
	c.ProjectFile = project.path

	c.Server = firstValue(
		ClientValue{o.Server, flagServer}, environmentValue(environment, varServer),
		project.value(project.server), user.value(user.server), ClientValue{DefaultServer, SourceDefault})
	c.Project = firstValue(
		ClientValue{o.Project, flagProject}, environmentValue(environment, varProject),
		project.value(project.project), user.value(user.project))
	c.Environment = firstValue(
		ClientValue{o.Environment, flagEnvironment}, environmentValue(environment, varEnvironment),
		project.value(project.environment), user.value(user.environment))

	origin, err := ParseServerURL(c.Server.Text, o.InsecureHTTP)
	if err != nil {
		errs.add("server", c.Server.Source, "%s", err)
	}
	c.Server.Text = origin
	for _, named := range []struct {
		name  string
		value ClientValue
	}{{"project", c.Project}, {"environment", c.Environment}} {
		if err := checkPrintable(named.value.Text); err != nil {
			errs.add(named.name, named.value.Source, "%s", err)
		}
	}
	c.readToken(o.TokenFile, environment, &errs)
	if err := errs.asError(); err != nil {
		return nil, err
	}
	return c, nil
}

// firstValue is the first value that is set. The client does not stack its few
// values in a viper: it is started for every secret that a script asks for.
func firstValue(list ...ClientValue) ClientValue {
	for _, v := range list {
		if v.Text != "" {
			return v
		}
	}
	return ClientValue{}
}

func environmentValue(environment map[string]variable, name string) ClientValue {
	return ClientValue{environment[name].text, name}
}

// ParseServerURL reads the address of a server and returns its origin in normal
// form. Plain http is accepted for this machine, and for others only when
// insecure says so, because the token would travel in clear. The error does not
// repeat the URL, which may hold a password by mistake.
func ParseServerURL(text string, insecure bool) (string, error) {
	if !strings.Contains(text, "://") {
		return "", errors.New("the server's address needs a scheme: write https://secrets.example.com")
	}
	origin, err := ParseOrigin(text)
	if err != nil {
		return "", fmt.Errorf("this is not the address of a server: %w", err)
	}
	scheme, authority, _ := strings.Cut(origin, "://")
	host, _, _ := SplitHost(authority)
	if scheme == "http" && !insecure && !isLoopback(strings.Trim(host, "[]")) {
		return "", errors.New("the address is plain http, and the token would travel unencrypted; use https, or --insecure-http if that network is safe")
	}
	return origin, nil
}

// readToken reads the token from the file that a flag names, or from the
// environment.
func (c *Client) readToken(path string, environment map[string]variable, errs *Errors) {
	text, source := environment[varToken].text, varToken
	if path != "" {
		content, err := readFile(path)
		if err != nil {
			errs.add(flagTokenFile, "", "%s can not be read: %s", strconv.Quote(path), fileReason(err))
			return
		}
		if looserThan0600(path) {
			c.Warnings = append(c.Warnings, fmt.Sprintf("The token file %s can be read by other users; run chmod 600 on it.", strconv.Quote(path)))
		}
		text, source = string(content), flagTokenFile
	}
	text = strings.TrimRight(text, "\r\n")
	if text == "" {
		if path != "" {
			errs.add(flagTokenFile, "", "%s is empty", strconv.Quote(path))
		}
		return
	}
	if problem := tokenProblem(text); problem != "" {
		errs.add("token", source, "%s", problem)
		return
	}
	c.Token, c.TokenSource = NewSecret(text), source
}

// tokenProblem finds what could not be sent in a header.
func tokenProblem(text string) string {
	for i := range len(text) {
		switch b := text[i]; {
		case b == ' ' || b == '\t' || b == '\r' || b == '\n':
			return "holds a space or a line break; a token is one word"
		case b < 0x21 || b > 0x7e:
			return "holds a character that no token has"
		}
	}
	if len(text) > 4096 {
		return "is longer than any token"
	}
	return ""
}

// userConfigFile is where the user's configuration is kept; "" where the system
// does not say.
func userConfigFile(o ClientOptions) string {
	if o.UserConfigFile != "" {
		return o.UserConfigFile
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "heartlock", "config.yaml")
}
