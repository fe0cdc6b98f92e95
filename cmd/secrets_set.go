package cmd

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/client"
	"github.com/heartlock/heartlock/pkg/fault"
)

// setSecrets is the options of `secrets set`.
type setSecrets struct {
	file    string
	comment string
	// comments is whether --comment was given, which may be to empty one.
	comments bool
}

func newSecretsSetCommand(c *cli, f *clientFlags) *cobra.Command {
	var o setSecrets
	cmd := &cobra.Command{
		Use:   "set KEY[=VALUE] … | KEY VALUE | KEY - | KEY --file FILE",
		Short: "Create secrets or change their values",
		Long: `Creates secrets or changes their values. Several at once are one change: all of them
or none. The value of a secret is what follows the first = sign (KEY= is the empty
value) or a second argument. With - it is standard input and with --file a file,
byte for byte, a line break at the end included. With KEY alone it is asked for on
the terminal and not shown.

Other users of the machine can see the arguments of a command while it runs, and
the shell writes them to its history; the other ways keep the value to yourself.

A value is never printed. One that is there already makes no new version.` + exits(clientKinds(fault.NotFound, fault.Conflict)...),
		Example: `  heartlock secrets set DATABASE_URL
  heartlock secrets set LOG_LEVEL=debug FEATURE_X=on
  openssl rand -hex 32 | tr -d '\n' | heartlock secrets set SESSION_KEY -
  heartlock secrets set TLS_KEY --file tls.key --comment "expires in May"`,
		Args: takes(1, api.MaxSecretsPerBulk, fmt.Sprintf("1 to %d KEY=VALUE, or one KEY and where its value is", api.MaxSecretsPerBulk)),
	}
	var plan setPlan
	cmd.PreRunE = func(cmd *cobra.Command, args []string) (err error) {
		o.comments = cmd.Flags().Changed("comment")
		if plan, err = planSet(cmd, o, args); err != nil {
			return err
		}
		if plan.fromInput && f.readsTokenFromInput() {
			return wrongUse(cmd, "Standard input can not hold both the token and the value.")
		}
		return nil
	}
	cmd.RunE = c.clientRun(f, func(ctx context.Context, s *session, _ []string) error {
		if plan.key != "" {
			return s.setOne(ctx, cmd, o, plan)
		}
		return s.setMany(ctx, plan.values)
	})
	// pflag's own text would repeat a value that begins with a hyphen.
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, _ error) error {
		return wrongUse(cmd, "A flag is not known or lacks its value. If a value begins with a hyphen, put -- before KEY.")
	})
	cmd.Flags().StringVar(&o.file, "file", "", "`FILE` that holds the value, - for standard input")
	cmd.Flags().StringVar(&o.comment, "comment", "", "`TEXT` that says what the secret is for; only with one KEY")
	return cmd
}

// setPlan is what the arguments of `secrets set` mean: either one key, whose
// value may have to be fetched, or several with their values.
type setPlan struct {
	key       string
	value     *api.Value // nil: to be fetched
	fromInput bool       // from standard input; else from the file or the terminal
	values    map[string]api.Value
}

// planSet reads the arguments. No error repeats one: a part of a value may stand
// where a key should.
func planSet(cmd *cobra.Command, o setSecrets, args []string) (setPlan, error) {
	key, value, given := strings.Cut(args[0], "=")
	switch {
	case o.file != "" && (len(args) > 1 || given):
		return setPlan{}, wrongUse(cmd, "With --file there is one KEY and no other value.")
	case len(args) == 2 && !given && args[1] != "-":
		return planOne(cmd, key, args[1])
	case len(args) == 1 && given && value != "-":
		return planOne(cmd, key, value)
	case len(args) == 2 && !given, o.file == "-":
		return checkPlan(cmd, setPlan{key: key, fromInput: true})
	case len(args) == 1 && !given:
		return checkPlan(cmd, setPlan{key: key})
	}
	if o.comments {
		return setPlan{}, wrongUse(cmd, "--comment is for one KEY.")
	}
	return planMany(cmd, args)
}

func planMany(cmd *cobra.Command, args []string) (setPlan, error) {
	values := make(map[string]api.Value, len(args))
	for i, arg := range args {
		key, text, given := strings.Cut(arg, "=")
		value := api.NewValue(text)
		_, twice := values[key]
		problem := api.CheckKey(key)
		if problem != "" {
			problem = "the KEY " + problem
		}
		switch {
		case !given:
			problem = "it is not KEY=VALUE"
		case text == "-":
			problem = "KEY=- could be meant as a hyphen or as standard input; write KEY - for standard input, and printf - | … for a hyphen"
		case problem == "" && twice:
			problem = "its KEY stands there twice"
		case problem == "" && api.CheckValue(value) != "":
			problem = "its value " + api.CheckValue(value)
		}
		if problem != "" {
			return setPlan{}, wrongUse(cmd, "Argument %d: %s.", i+1, problem)
		}
		values[key] = value
	}
	return setPlan{values: values}, nil
}

func planOne(cmd *cobra.Command, key, text string) (setPlan, error) {
	value := api.NewValue(text)
	if problem := api.CheckValue(value); problem != "" {
		return setPlan{}, wrongUse(cmd, "The value %s.", problem)
	}
	return checkPlan(cmd, setPlan{key: key, value: &value})
}

func checkPlan(cmd *cobra.Command, p setPlan) (setPlan, error) {
	if problem := api.CheckKey(p.key); problem != "" {
		return setPlan{}, wrongUse(cmd, "Argument 1: the KEY %s.", problem)
	}
	return p, nil
}

// setOne sets one secret by the endpoint for one, which also takes a comment.
func (s *session) setOne(ctx context.Context, cmd *cobra.Command, o setSecrets, p setPlan) error {
	value, err := s.fetchValue(ctx, cmd, o, p)
	if err != nil {
		return err
	}
	if problem := api.CheckValue(value); problem != "" {
		return fault.Newf(fault.Usage, "The value of %s %s.", p.key, problem)
	}
	e, err := s.environment(ctx)
	if err != nil {
		return err
	}
	put := api.PutSecret{Value: &value}
	if o.comments {
		put.Comment = &o.comment
	}
	secret, created, err := s.client.PutSecret(ctx, e, p.key, put)
	if err != nil {
		return err
	}
	verb := "Set"
	if created {
		verb = "Created"
	}
	s.tell("%s %s in %s (version %d).", verb, secret.Key, e, secret.Version)
	s.warn(secret.Warnings)
	return nil
}

// setMany sets several secrets in one request.
func (s *session) setMany(ctx context.Context, values map[string]api.Value) error {
	e, err := s.environment(ctx)
	if err != nil {
		return err
	}
	result, err := s.client.BulkSecrets(ctx, e, api.BulkRequest{Set: values})
	if err != nil {
		return err
	}
	s.tellBulk(e, result)
	return nil
}

func (s *session) tellBulk(e client.Environment, r api.BulkResult) {
	var parts []string
	for _, part := range []struct {
		verb string
		keys []string
	}{{"created", r.Created}, {"changed", r.Updated}, {"left unchanged", r.Unchanged}, {"deleted", r.Deleted}} {
		if len(part.keys) > 0 {
			parts = append(parts, part.verb+" "+strings.Join(part.keys, ", "))
		}
	}
	if len(parts) == 0 {
		parts = []string{"nothing changed"}
	}
	s.tell("%s: %s (revision %d).", e, strings.Join(parts, "; "), r.Revision)
	s.warn(r.Warnings)
}

func (s *session) warn(warnings []string) {
	for _, w := range warnings {
		s.tell("Warning: %s", w)
	}
}

// fetchValue gets the value of one secret from where the arguments say it is.
func (s *session) fetchValue(ctx context.Context, cmd *cobra.Command, o setSecrets, p setPlan) (api.Value, error) {
	switch {
	case p.value != nil:
		return *p.value, nil
	case p.fromInput:
		if isTerminal(s.streams.In) {
			s.tell("Type the value and end it by Ctrl-D on a line of its own. It is shown as you type, and its last line break counts.")
		}
		return readValue(ctx, s.streams.In, "Standard input")
	case o.file != "":
		file, err := s.openValueFile(o.file)
		if err != nil {
			return api.Value{}, err
		}
		defer file.Close() //nolint:errcheck // it was only read
		return readValue(ctx, io.Reader(file), o.file)
	case !isTerminal(s.streams.In):
		return api.Value{}, wrongUse(cmd, "There is no value for %s, and no terminal to ask for it. Write - after KEY to take standard input.", p.key)
	}
	value, err := s.askHidden(ctx, fmt.Sprintf("Value of %s (not shown): ", p.key))
	if err == nil && value.Len() == 0 {
		return value, fault.Newf(fault.Usage, "Nothing was typed. To set the empty value, write %s=", p.key)
	}
	return value, err
}
