package cmd

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/client"
	"github.com/heartlock/heartlock/pkg/fault"
)

func newProjectsCommand(c *cli) *cobra.Command {
	f := &clientFlags{}
	group := newGroup("projects", "List, create and delete projects")
	list := newProjectsListCommand(c, f)
	group.Long = "Without a command it lists the projects." + exits(clientKinds()...)
	group.AddCommand(list, newProjectsCreateCommand(c, f), newProjectsDeleteCommand(c, f))
	f.register(group.PersistentFlags(), inServer)
	listByDefault(group, list)
	return group
}

func newProjectsListCommand(c *cli, f *clientFlags) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the projects that you are a member of",
		Long:  "Lists the projects that you are a member of, with your role in each." + exits(clientKinds()...),
		Example: `  heartlock projects
  heartlock projects --json | jq -r '.[].slug'`,
		Args: takes(0, 0, "no arguments"),
		RunE: c.clientRun(f, func(ctx context.Context, s *session, _ []string) error {
			projects, err := client.Collect(s.client.Projects(ctx))
			if err != nil {
				return err
			}
			if asJSON {
				return s.printJSON(projects)
			}
			t := table{head: []string{"NAME", "SLUG", "ROLE"}}
			for _, p := range projects {
				t.add(p.Name, p.Slug, string(p.Role))
			}
			return s.printTable(t)
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newProjectsCreateCommand(c *cli, f *clientFlags) *cobra.Command {
	var (
		project api.CreateProject
		asJSON  bool
	)
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a project",
		Long: `Creates a project with the environments development, staging and production; you
become its owner. Prints the slug, by which other commands name the project.` + exits(clientKinds(fault.Conflict)...),
		Example: `  heartlock projects create "Web shop"
  heartlock projects create "Web shop" --slug shop --description "The shop and its workers"`,
		Args: takes(1, 1, "the NAME of the new project"),
		RunE: c.clientRun(f, func(ctx context.Context, s *session, args []string) error {
			project.Name = args[0]
			p, err := s.client.CreateProject(ctx, project)
			if err != nil {
				return err
			}
			s.tell("Created the project %s.", p.Name)
			if asJSON {
				return s.printJSON(p)
			}
			return s.printLine(p.Slug)
		}),
	}
	cmd.Flags().StringVar(&project.Slug, "slug", "", "`SLUG`, the short name for addresses and commands (default: made from NAME)")
	cmd.Flags().StringVar(&project.Description, "description", "", "`TEXT` that says what the project is")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newProjectsDeleteCommand(c *cli, f *clientFlags) *cobra.Command {
	var confirm string
	cmd := &cobra.Command{
		Use:   "delete PROJECT",
		Short: "Delete a project and everything in it",
		Long: `Deletes a project with all its environments, secrets and tokens, for ever. On a
terminal you are asked to type its name again; elsewhere --confirm must give it.` + exits(clientKinds(fault.NotFound)...),
		Example: `  heartlock projects delete shop
  heartlock projects delete shop --confirm shop`,
		Args: takes(1, 1, "the name of one PROJECT"),
		RunE: c.clientRun(f, func(ctx context.Context, s *session, args []string) error {
			if err := s.confirm(ctx, "the project "+args[0], args[0], confirm); err != nil {
				return err
			}
			if err := s.client.DeleteProject(ctx, args[0]); err != nil {
				return err
			}
			s.tell("Deleted the project %s.", args[0])
			return nil
		}),
	}
	cmd.Flags().StringVar(&confirm, "confirm", "", "the project's `NAME` once more, where nobody can be asked")
	return cmd
}
