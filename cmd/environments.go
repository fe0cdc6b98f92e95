package cmd

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/client"
	"github.com/heartlock/heartlock/pkg/fault"
)

func newEnvironmentsCommand(c *cli) *cobra.Command {
	f := &clientFlags{}
	group := newGroup("environments", "List, create and delete a project's environments")
	list := newEnvironmentsListCommand(c, f)
	group.Long = "Without a command it lists the environments of a project." + exits(clientKinds(fault.NotFound)...)
	group.AddCommand(list, newEnvironmentsCreateCommand(c, f), newEnvironmentsDeleteCommand(c, f),
		newEnvironmentsHistoryCommand(c, f), newEnvironmentsRestoreCommand(c, f))
	f.register(group.PersistentFlags(), inProject)
	listByDefault(group, list)
	return group
}

func newEnvironmentsListCommand(c *cli, f *clientFlags) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the environments of a project",
		Long:  "Lists the environments of a project in their order." + exits(clientKinds(fault.NotFound)...),
		Example: `  heartlock environments --project shop
  heartlock environments --project shop --json | jq -r '.[].slug'`,
		Args: takes(0, 0, "no arguments"),
		RunE: c.clientRun(f, func(ctx context.Context, s *session, _ []string) error {
			project, err := s.project(ctx)
			if err != nil {
				return err
			}
			environments, err := client.Collect(s.client.Environments(ctx, project))
			if err != nil {
				return err
			}
			if asJSON {
				return s.printJSON(environments)
			}
			t := table{head: []string{"NAME", "SLUG", "SECRETS", "REVISION", "PROTECTED"}}
			for _, e := range environments {
				protected := "no"
				if e.Protected {
					protected = "yes"
				}
				t.add(e.Name, e.Slug, strconv.Itoa(e.SecretCount), strconv.FormatInt(e.Revision, 10), protected)
			}
			return s.printTable(t)
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newEnvironmentsCreateCommand(c *cli, f *clientFlags) *cobra.Command {
	var (
		environment api.CreateEnvironment
		asJSON      bool
	)
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Create an environment",
		Long: `Creates an environment after the existing ones. Prints the slug, by which other
commands name it.` + exits(clientKinds(fault.NotFound, fault.Conflict)...),
		Example: `  heartlock environments create Preview --project shop
  heartlock environments create "Production EU" --slug prod-eu --protected --project shop`,
		Args: takes(1, 1, "the NAME of the new environment"),
		RunE: c.clientRun(f, func(ctx context.Context, s *session, args []string) error {
			project, err := s.project(ctx)
			if err != nil {
				return err
			}
			environment.Name = args[0]
			e, err := s.client.CreateEnvironment(ctx, project, environment)
			if err != nil {
				return err
			}
			s.tell("Created the environment %s in %s.", e.Name, project)
			if asJSON {
				return s.printJSON(e)
			}
			return s.printLine(e.Slug)
		}),
	}
	cmd.Flags().StringVar(&environment.Slug, "slug", "", "`SLUG`, the short name for addresses and commands (default: made from NAME)")
	cmd.Flags().BoolVar(&environment.Protected, "protected", false, "only admins of the project may change its secrets")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newEnvironmentsDeleteCommand(c *cli, f *clientFlags) *cobra.Command {
	var confirm string
	cmd := &cobra.Command{
		Use:   "delete ENVIRONMENT",
		Short: "Delete an environment and its secrets",
		Long: `Deletes an environment with all its secrets, for ever. On a terminal you are asked
to type its name again; elsewhere --confirm must give it.` + exits(clientKinds(fault.NotFound)...),
		Example: `  heartlock environments delete preview --project shop
  heartlock environments delete preview --project shop --confirm preview`,
		Args: takes(1, 1, "the name of one ENVIRONMENT"),
		RunE: c.clientRun(f, func(ctx context.Context, s *session, args []string) error {
			project, err := s.project(ctx)
			if err != nil {
				return err
			}
			e := client.Environment{Project: project, Slug: args[0]}
			if err := s.confirm(ctx, "the environment "+e.String(), e.Slug, confirm); err != nil {
				return err
			}
			if err := s.client.DeleteEnvironment(ctx, e); err != nil {
				return err
			}
			s.tell("Deleted the environment %s.", e)
			return nil
		}),
	}
	cmd.Flags().StringVar(&confirm, "confirm", "", "the environment's `NAME` once more, where nobody can be asked")
	return cmd
}
