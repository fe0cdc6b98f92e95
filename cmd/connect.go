package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/client"
	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/fault"
)

// clientFlags are the flags of a command that talks to a server.
type clientFlags struct {
	server       string
	token        string
	tokenFile    string
	project      string
	environment  string
	insecureHTTP bool
	quiet        bool
}

// scope is what of a server a command works on.
type scope int

const (
	inServer scope = iota
	inProject
	inEnvironment
)

// register adds the flags that a command of this scope has.
func (f *clientFlags) register(flags *pflag.FlagSet, s scope) {
	flags.StringVar(&f.server, "server", "", "address of the server, a `URL` (HEARTLOCK_SERVER)")
	flags.StringVar(&f.tokenFile, "token-file", "", "`FILE` that holds the token, - for standard input (HEARTLOCK_TOKEN)")
	flags.StringVar(&f.token, "token", "", "the `TOKEN` itself; other users of this machine can see it, better use HEARTLOCK_TOKEN")
	flags.BoolVar(&f.insecureHTTP, "insecure-http", false, "send the token over plain http to another machine, too")
	flags.BoolVar(&f.quiet, "quiet", false, "print no messages but errors")
	if s >= inProject {
		flags.StringVarP(&f.project, "project", "p", "", "`PROJECT` by slug or id (HEARTLOCK_PROJECT)")
	}
	if s >= inEnvironment {
		flags.StringVarP(&f.environment, "environment", "e", "", "`ENVIRONMENT` by slug or id (HEARTLOCK_ENVIRONMENT)")
	}
}

// session is what a client command works with: its settings and one client.
type session struct {
	*cli
	flags    *clientFlags
	settings *config.Client
	client   *client.Client
	stored   *client.TokenStore // where the token came from; nil when it was given
	token    api.Value
}

// clientRun makes a RunE of a function that needs a server. A token from the
// store that the server refuses is forgotten, and only that one.
func (c *cli) clientRun(f *clientFlags, run func(ctx context.Context, s *session, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		s, err := c.connect(cmd.Context(), f)
		if err != nil {
			return err
		}
		defer s.client.Close()
		err = run(cmd.Context(), s, args)
		s.forgetRefused(err)
		return err
	}
}

// connect reads the settings and makes the client. It sends nothing.
func (c *cli) connect(ctx context.Context, f *clientFlags) (*session, error) {
	s := &session{cli: c, flags: f}
	o := config.ClientOptions{
		WorkDir:      c.workDir,
		Environ:      c.environ,
		Server:       f.server,
		Project:      f.project,
		Environment:  f.environment,
		InsecureHTTP: f.insecureHTTP,
	}
	if f.tokenFile != "" && f.token != "" {
		return nil, fault.New(fault.Usage, "--token and --token-file are both given; one of them is enough.")
	}
	if f.tokenFile != "" && f.tokenFile != "-" {
		o.TokenFile = c.path(f.tokenFile)
	}
	settings, err := config.LoadClient(o)
	if err != nil {
		return nil, err
	}
	s.settings = settings
	for _, w := range settings.Warnings {
		s.tell("%s", w)
	}
	if err := s.findToken(ctx); err != nil {
		return nil, err
	}
	if err := s.checkServerSource(); err != nil {
		return nil, err
	}
	s.client, err = client.New(client.Options{
		Server:       settings.Server.Text,
		Token:        s.token,
		UserAgent:    c.build.userAgent(),
		InsecureHTTP: f.insecureHTTP,
	})
	return s, err
}

// checkServerSource keeps a checkout from choosing who gets a token: a server
// that only heartlock.yaml names is sent tokens that were saved for it, and no
// other.
func (s *session) checkServerSource() error {
	if s.stored != nil || s.settings.ProjectFile == "" || s.settings.Server.Source != s.settings.ProjectFile {
		return nil
	}
	return fault.Newf(fault.Usage, "The token was not sent: only %s names the server, and whoever can change that file could send the token elsewhere. Set HEARTLOCK_SERVER (or --server) to %s as well.",
		s.settings.ProjectFile, s.settings.Server.Text)
}

// findToken takes the token from the command line, from the settings, or from
// the store, in this order.
func (s *session) findToken(ctx context.Context) error {
	switch {
	case s.flags.token != "":
		s.token = api.NewValue(s.flags.token)
		return nil
	case s.flags.tokenFile == "-":
		line, err := readValue(ctx, s.streams.In, "The token on standard input")
		s.token = api.NewValue(strings.TrimRight(line.Reveal(), "\r\n"))
		if err == nil && s.token.Len() == 0 {
			err = fault.New(fault.Usage, "There is no token on standard input.")
		}
		return err
	case s.settings.Token.IsSet():
		s.token = api.NewValue(s.settings.Token.Reveal())
		return nil
	}
	return s.findStoredToken()
}

func (s *session) findStoredToken() error {
	server := s.settings.Server.Text
	missing := fault.Newf(fault.Unauthenticated,
		"There is no token for %s. Put one into HEARTLOCK_TOKEN, or into a file that --token-file names.", server)
	dir, err := s.userConfigDir()
	if err != nil { // no home directory, as in many containers
		return missing
	}
	store := client.NewTokenStore(filepath.Join(dir, "heartlock"))
	entry, ok, err := store.Get(server)
	if err != nil {
		return err
	}
	if !ok {
		return missing
	}
	for _, w := range store.Warnings() {
		s.tell("%s", w)
	}
	s.stored, s.token = store, entry.Token
	return nil
}

// forgetRefused drops a stored token when the server itself (not a proxy before
// it) said that it is not valid.
func (s *session) forgetRefused(err error) {
	var answer *client.ResponseError
	if s.stored == nil || !errors.Is(err, fault.Unauthenticated) || !errors.As(err, &answer) || !answer.Explained {
		return
	}
	deleted, err := s.stored.DeleteRefused(s.client.Origin(), s.token)
	switch {
	case err != nil:
		s.tell("%v", err)
	case deleted:
		s.tell("The stored token for %s is no longer valid and was removed from %s.", s.client.Origin(), s.stored.Path())
	}
}

// tell is say, unless --quiet is given.
func (s *session) tell(format string, args ...any) {
	if !s.flags.quiet {
		s.say(format, args...)
	}
}

// project is the project that the command works on: the one that is configured,
// or else the one that the token belongs to.
func (s *session) project(ctx context.Context) (string, error) {
	if p := s.settings.Project.Text; p != "" {
		return p, nil
	}
	self, err := s.serviceToken(ctx)
	if err != nil {
		return "", err
	}
	if self == nil {
		return "", fault.New(fault.Usage, "Which project? Name it by --project, HEARTLOCK_PROJECT, or project: in heartlock.yaml.")
	}
	return self.Project, nil
}

// environment is the environment that the command works on. The server is asked
// what the token is for only if something is not configured.
func (s *session) environment(ctx context.Context) (client.Environment, error) {
	e := client.Environment{Project: s.settings.Project.Text, Slug: s.settings.Environment.Text}
	if e.Project != "" && e.Slug != "" {
		return e, nil
	}
	self, err := s.serviceToken(ctx)
	if err != nil {
		return e, err
	}
	if e.Project == "" && self != nil {
		e.Project = self.Project
	}
	if e.Project == "" {
		return e, fault.New(fault.Usage,
			"Which project and environment? Name them by --project and --environment, HEARTLOCK_PROJECT and HEARTLOCK_ENVIRONMENT, or in heartlock.yaml.")
	}
	if e.Slug == "" && self != nil && self.Project == e.Project && len(self.Environments) == 1 {
		e.Slug = self.Environments[0]
	}
	if e.Slug == "" {
		text := "Which environment? Name it by --environment, HEARTLOCK_ENVIRONMENT, or environment: in heartlock.yaml."
		if self != nil {
			text += fmt.Sprintf(" This token is for %s in %s.", strings.Join(self.Environments, ", "), self.Project)
		}
		return e, fault.New(fault.Usage, text)
	}
	return e, nil
}

// serviceToken is what the token says of itself, or nil for a person's.
func (s *session) serviceToken(ctx context.Context) (*api.ServiceTokenSelf, error) {
	me, err := s.client.Me(ctx)
	if err != nil {
		return nil, err
	}
	return me.ServiceToken, nil
}

// readsTokenFromInput reports whether the token takes up standard input.
func (f *clientFlags) readsTokenFromInput() bool { return f.token == "" && f.tokenFile == "-" }

// openValueFile opens a file that holds a value.
func (c *cli) openValueFile(name string) (*os.File, error) {
	f, err := os.Open(c.path(name))
	if err != nil {
		return nil, fault.Wrap(fault.Usage, err, fmt.Sprintf("%s can not be read: %s.", name, ioReason(err)))
	}
	return f, nil
}
