package cmd

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/client"
	"github.com/heartlock/heartlock/pkg/dotenv"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/interchange"
)

// exportOptions is the flags of export.
type exportOptions struct {
	environments []string
	format       string
	output       string
	force        bool
	dangerous    bool
}

// The formats of export.
const (
	formatJSON   = "json"
	formatDotenv = "dotenv"
	formatShell  = "shell"
)

func newExportCommand(c *cli) *cobra.Command {
	f := &clientFlags{}
	var o exportOptions
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the secrets of a project to a file",
		Long: `Writes the secrets of a whole project, or of the environments that are named, with
their values. Every value that is read is recorded in the project's audit trail.

json is one file with all environments and comments, which 'heartlock import json'
takes back without a difference. dotenv is for programs that read .env files, shell
for a shell that sources the file; both are one file for each environment, without
comments. A shell that sources either runs nothing, whatever the values are. Names
that would change what programs execute, such as PATH, are refused there.

Without -o it goes to standard output. With -o it goes to a file that only you can
read (mode 0600), and never over one that is there unless --force is given.` + exits(clientKinds(fault.NotFound, fault.Conflict)...),
		Example: `  heartlock export --project shop -o shop.json
  heartlock export --project shop --environment production --format dotenv -o .env
  heartlock export --project shop --format shell -o secrets/
  eval "$(heartlock export -p shop -e production --format shell)"`,
		Args: takes(0, 0, "no arguments"),
	}
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if !slices.Contains([]string{formatJSON, formatDotenv, formatShell}, o.format) {
			return wrongUse(cmd, "--format is json, dotenv or shell.")
		}
		if o.force && (o.output == "" || o.output == "-") {
			return wrongUse(cmd, "--force is for --output.")
		}
		return nil
	}
	cmd.RunE = c.clientRun(f, func(ctx context.Context, s *session, _ []string) error { return s.export(ctx, o) })
	f.register(cmd.Flags(), inProject)
	registerExport(cmd.Flags(), &o)
	return cmd
}

func registerExport(flags *pflag.FlagSet, o *exportOptions) {
	flags.StringArrayVarP(&o.environments, "environment", "e", nil, "`ENVIRONMENT` by slug or id; may be repeated (HEARTLOCK_ENVIRONMENT; default: all)")
	flags.StringVar(&o.format, "format", formatJSON, "json, dotenv or shell")
	flags.StringVarP(&o.output, "output", "o", "", "write to this `FILE`, or, one file for each environment, into this directory")
	flags.BoolVar(&o.force, "force", false, "write over files that are there")
	flags.BoolVar(&o.dangerous, "dangerous", false, "also write names to dotenv and shell that change what programs execute, such as PATH")
}

// export reads everything first, so that nothing is written by halves.
func (s *session) export(ctx context.Context, o exportOptions) error {
	project, err := s.readProject(ctx, o)
	if err != nil {
		return err
	}
	if o.format == formatJSON {
		data, err := interchange.WriteProject(project)
		if err != nil {
			return err
		}
		return s.writeExport(o, []exportFile{{project.Slug + ".json", data}})
	}
	if err := checkDangerous(o, project.Environments); err != nil {
		return err
	}
	files := make([]exportFile, len(project.Environments))
	for i, e := range project.Environments {
		files[i] = s.environmentFile(o.format, e)
	}
	return s.writeExport(o, files)
}

var errStrangeName = fault.New(fault.Unavailable, "The server's answer holds a name that can not be one. Nothing was written.")

// readProject reads the project with the environments that are wanted.
func (s *session) readProject(ctx context.Context, o exportOptions) (p interchange.Project, err error) {
	slug, err := s.project(ctx)
	if err != nil {
		return p, err
	}
	project, err := s.client.Project(ctx, slug)
	if err != nil {
		return p, err
	}
	p = interchange.Project{Head: interchange.Head{Slug: project.Slug, Name: project.Name, Description: project.Description}}
	environments, err := s.wantedEnvironments(ctx, slug, o)
	if err != nil {
		return p, err
	}
	for _, e := range environments {
		g, err := s.readEnvironment(ctx, client.Environment{Project: slug, Slug: e.Slug}, e)
		if err != nil {
			return p, err
		}
		p.Environments = append(p.Environments, g)
	}
	return p, nil
}

// readEnvironment reads one environment with its values. Names of the answer
// become commands of a shell and names of files, so they are not taken on trust.
func (s *session) readEnvironment(ctx context.Context, at client.Environment, e api.Environment) (interchange.Group, error) {
	if api.CheckSlug(e.Slug) != "" {
		return interchange.Group{}, errStrangeName
	}
	list, err := s.client.Secrets(ctx, at, client.ListSecrets{Values: true})
	if err != nil {
		return interchange.Group{}, err
	}
	g := interchange.Group{Name: e.Slug, Title: e.Name, Protected: e.Protected}
	for _, secret := range list.Results {
		if api.CheckKey(secret.Key) != "" {
			return g, errStrangeName
		}
		g.Secrets = append(g.Secrets, interchange.Secret{Key: secret.Key, Value: *secret.Value, Comment: &secret.Comment})
	}
	return g, nil
}

// wantedEnvironments is those that flags or HEARTLOCK_ENVIRONMENT name, or all.
// What heartlock.yaml names is where one works, not what an export is of.
func (s *session) wantedEnvironments(ctx context.Context, project string, o exportOptions) ([]api.Environment, error) {
	wanted := o.environments
	if named := s.settings.Environment; len(wanted) == 0 && named.Text != "" && named.Source == sourceEnvironmentVariable {
		wanted = []string{named.Text}
	}
	if len(wanted) == 0 {
		return client.Collect(s.client.Environments(ctx, project))
	}
	var environments []api.Environment
	for _, slug := range wanted {
		e, err := s.client.Environment(ctx, client.Environment{Project: project, Slug: slug})
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(environments, func(other api.Environment) bool { return other.ID == e.ID }) {
			return nil, fault.Newf(fault.Usage, "The environment %s is named twice.", e.Slug)
		}
		environments = append(environments, e)
	}
	return environments, nil
}

// checkDangerous refuses names that would make a shell, or a program started
// from it, execute something of the secret's writer.
func checkDangerous(o exportOptions, environments []interchange.Group) error {
	if o.dangerous {
		return nil
	}
	var names []string
	for _, e := range environments {
		for _, secret := range e.Secrets {
			if api.DangerousKey(secret.Key) {
				names = append(names, e.Name+"/"+secret.Key)
			}
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fault.Newf(fault.Invalid, "Nothing was written: these names change what programs execute, or where they look: %s. Export as json, or add --dangerous if that is meant.", strings.Join(names, ", "))
}

// environmentFile is an environment as text for a shell or a .env reader.
func (s *session) environmentFile(format string, e interchange.Group) exportFile {
	var b strings.Builder
	if format == formatShell {
		for _, secret := range e.Secrets {
			b.WriteString(dotenv.FormatShell(secret.Key, secret.Value.Reveal()))
		}
		return exportFile{e.Name + ".sh", []byte(b.String())}
	}
	for _, secret := range e.Secrets {
		line, caveats := dotenv.Format(secret.Key, secret.Value.Reveal())
		b.WriteString(line)
		for _, caveat := range caveats {
			s.tell("Note: %s/%s %s.", e.Name, secret.Key, caveat)
		}
	}
	return exportFile{e.Name + ".env", []byte(b.String())}
}

// exportSummary is what was exported, for the person.
func exportSummary(files []exportFile, paths []string) string {
	if len(paths) == 1 {
		return "Wrote " + paths[0] + "."
	}
	return fmt.Sprintf("Wrote %d files: %s.", len(files), strings.Join(paths, ", "))
}
