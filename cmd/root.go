package cmd

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/pkg/fault"
)

// The groups under which `heartlock help` shows the commands.
const (
	groupServer  = "server"
	groupSecrets = "secrets"
)

// serverCommands run, prepare or look after a server.
func serverCommands() []func(*cli) *cobra.Command {
	return []func(*cli) *cobra.Command{
		newServeCommand,
		newOnboardCommand,
		newCheckCommand,
		newConfigCommand,
		newMigrateCommand,
		newCollectStaticCommand,
		newAdminCommand,
		newGenkeyCommand,
		newBackupCommand,
		newRestoreCommand,
		newRotateKeyCommand,
		newKeyCommand,
		newAuditCommand,
		newVersionCommand,
		newCompletionCommand,
	}
}

// secretsCommands are clients: they talk to a server and must not touch its
// database, its key or its settings.
func secretsCommands() []func(*cli) *cobra.Command {
	return []func(*cli) *cobra.Command{
		newWhoamiCommand,
		newProjectsCommand,
		newEnvironmentsCommand,
		newMembersCommand,
		newInvitationsCommand,
		newTokensCommand,
		newSecretsCommand,
		newImportCommand,
		newExportCommand,
	}
}

func newRootCommand(c *cli) *cobra.Command {
	var version bool
	root := &cobra.Command{
		Use:   "heartlock",
		Short: "Keep the secrets of your projects, and hand them to people and machines",
		Long: `Heartlock keeps the secrets of your projects: one program is the server, its web
interface and this command line.`,
		Example: `  heartlock serve                         run a server here
  heartlock secrets get DATABASE_URL      print one secret`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if version {
				return printVersion(c)
			}
			return cmd.Help()
		},
	}
	root.Flags().BoolVar(&version, "version", false, "print the version")
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetIn(c.streams.In)
	root.SetOut(c.streams.Out)
	root.SetErr(c.streams.Err)
	root.SetFlagErrorFunc(flagError)
	root.AddGroup(&cobra.Group{ID: groupServer, Title: "Server:"}, &cobra.Group{ID: groupSecrets, Title: "Secrets:"})
	addCommands(root, c, groupServer, serverCommands())
	addCommands(root, c, groupSecrets, secretsCommands())
	root.SetHelpCommandGroupID(groupServer)
	return root
}

func addCommands(root *cobra.Command, c *cli, group string, constructors []func(*cli) *cobra.Command) {
	for _, newCommand := range constructors {
		cmd := newCommand(c)
		cmd.GroupID = group
		classify(cmd)
		root.AddCommand(cmd)
	}
}

// classify makes sure that whatever a command returns has a kind. An error
// without one that arrives at [cli.run] is then cobra's own: wrong use.
func classify(cmd *cobra.Command) {
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error { return classified(run(cmd, args)) }
	}
	for _, sub := range cmd.Commands() {
		classify(sub)
	}
}

func classified(err error) error {
	if err == nil || hasKind(err) {
		return err
	}
	return fault.Wrap(fault.Internal, err, "The command failed")
}

// hasKind reports whether somebody has said what kind of failure err is.
func hasKind(err error) bool {
	var (
		kind fault.Kind
		code exitCode
	)
	return fault.As(err) != nil || errors.As(err, &kind) || errors.As(err, &code)
}

// newGroup is a command that only holds others.
func newGroup(use, short string) *cobra.Command {
	return &cobra.Command{
		Use:   use + " COMMAND",
		Short: short,
		Args:  noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return wrongUse(cmd, "%s needs a command: %s.", cmd.CommandPath(), strings.Join(commandNames(cmd), ", "))
		},
	}
}

func commandNames(cmd *cobra.Command) []string {
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return names
}

// listByDefault makes the group do what its list command does.
func listByDefault(group, list *cobra.Command) {
	group.Use = list.Parent().Name()
	group.Flags().AddFlagSet(list.Flags())
	group.RunE = list.RunE
	group.Example = list.Example
}

// looksLikeACommand reports whether text may be repeated in an error about a
// command; anything else may be a secret that stands in the wrong place.
func looksLikeACommand(text string) bool {
	return len(text) <= 30 && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz-") == "" && text != ""
}

// noCommand refuses arguments of a command that takes none but has commands
// below it: cobra would pass over a misspelled one.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if !looksLikeACommand(args[0]) {
		return wrongUse(cmd, "%s has no such command.", cmd.CommandPath())
	}
	text := fmt.Sprintf("%s has no command %q.", cmd.CommandPath(), args[0])
	cmd.SuggestionsMinimumDistance = 2
	if similar := cmd.SuggestionsFor(args[0]); len(similar) > 0 {
		text += fmt.Sprintf(" Did you mean %s?", strings.Join(similar, " or "))
	}
	return wrongUse(cmd, "%s", text)
}

// takes refuses another number of arguments than at least least and at most
// most; what says what they are. The arguments are not repeated.
func takes(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return wrongUse(cmd, "%s takes %s.", cmd.CommandPath(), what)
		}
		return nil
	}
}

// flagError is the error for flags that can not be read. Behind a misspelled
// command its flags are unknown too; then the command is what is wrong.
func flagError(cmd *cobra.Command, err error) error {
	if cmd.HasSubCommands() && cmd.Flags().NArg() > 0 {
		return noCommand(cmd, cmd.Flags().Args())
	}
	return wrongUse(cmd, "%s: %v.", cmd.CommandPath(), err)
}

// exits is the last part of a command's help: the exit codes that it has beyond
// 0, 1 and 2.
func exits(kinds ...fault.Kind) string {
	meaning := map[fault.Kind]string{
		fault.Unauthenticated: "not signed in: no token, or one that is not valid",
		fault.Forbidden:       "not allowed",
		fault.NotFound:        "not found",
		fault.Conflict:        "conflict with the present state",
		fault.Unavailable:     "the server or the network is unavailable",
	}
	var b strings.Builder
	b.WriteString("\n\nExit codes:\n  0  done\n  1  failed\n  2  wrong use or configuration")
	for _, k := range kinds {
		fmt.Fprintf(&b, "\n  %d  %s", k.ExitCode(), meaning[k])
	}
	return b.String()
}

// clientKinds are the failures that every command has which talks to a server.
func clientKinds(more ...fault.Kind) []fault.Kind {
	kinds := append([]fault.Kind{fault.Unauthenticated, fault.Forbidden}, more...)
	return append(kinds, fault.Unavailable)
}
