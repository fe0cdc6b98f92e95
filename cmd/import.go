package cmd

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/interchange"
)

// importOptions is the flags of the import commands.
type importOptions struct {
	from         interchange.Source
	maps         []string
	renameKeys   bool
	nestedAsJSON bool
	skipExisting bool
	create       bool
	dryRun       bool
	yes          bool
	asJSON       bool
}

// importSource describes one of the import commands.
type importSource struct {
	from    interchange.Source
	short   string
	long    string // which files it takes
	example string
}

func importSources() []importSource {
	return []importSource{
		{
			from: interchange.Infisical, short: "Import what Infisical's command exports",
			long: `Takes what 'infisical export --format=json' writes, comments included, and the dotenv
formats as far as they can be read without a doubt. JSON alone keeps every value.`,
			example: `  infisical export --env=prod --format=json | heartlock import infisical - -p shop -e production --yes`,
		},
		{
			from: interchange.Doppler, short: "Import what Doppler's command exports",
			long: `Takes what 'doppler secrets download --no-file' writes with --format json or env, and
'doppler secrets --json' with the notes of the secrets. References to other secrets
are taken as what they are now.`,
			example: `  doppler secrets --json -p shop -c prd | heartlock import doppler - -p shop -e production --yes`,
		},
		{
			from: interchange.Vault, short: "Import what Vault or OpenBao, medusa or vkv export",
			long: `Takes what 'vault kv get -format=json' writes, of either version of the engine, its
data alone (-field=data), and the trees of paths that medusa and vkv export as JSON
or YAML. Of a tree --map says which paths go to which environments.`,
			example: `  vault kv get -format=json secret/shop/prod | heartlock import vault - -p shop -e production --yes
  heartlock import vault medusa.yaml -p shop --map shop/prod=production --map shop/dev=development`,
		},
		{
			from: interchange.Dotenv, short: "Import a .env file",
			long: `Takes one NAME=value on each line, quoted or not. Nothing is expanded. Lines that other
programs may read in another way are named.`,
			example: `  heartlock import dotenv .env -p shop -e development`,
		},
		{
			from: interchange.JSON, short: "Import a JSON object, or a project that Heartlock exported",
			long: `Takes an object such as {"KEY": "value"}, or what 'heartlock export' writes with its
environments and comments.`,
			example: `  heartlock import json secrets.json -p shop -e development
  heartlock import json shop.json -p shop --create`,
		},
	}
}

func newImportCommand(c *cli) *cobra.Command {
	f := &clientFlags{}
	group := newGroup("import", "Import secrets from the files of other tools")
	group.Long = `Imports secrets from the file that another tool, or heartlock export, has written.
The whole file is read and checked first; then a plan shows by key what is created
and what is changed, and only after a yes it is written. Nothing is ever deleted.` + exits(clientKinds(fault.NotFound, fault.Conflict)...)
	group.Example = `  heartlock import dotenv .env --project shop --environment development
  heartlock import json shop.json --project shop --dry-run`
	o := &importOptions{}
	for _, source := range importSources() {
		group.AddCommand(newImportSourceCommand(c, f, o, source))
	}
	f.register(group.PersistentFlags(), inEnvironment)
	flags := group.PersistentFlags()
	flags.StringArrayVar(&o.maps, "map", nil, "`FROM=TO`: put what the file has under FROM, an environment or path, into the environment TO; may be repeated")
	flags.BoolVar(&o.renameKeys, "rename-keys", false, "import names that are no keys, such as db-url, under the suggested one")
	flags.BoolVar(&o.nestedAsJSON, "nested-as-json", false, "import lists and objects as JSON text")
	flags.BoolVar(&o.skipExisting, "skip-existing", false, "only create; leave the secrets that are there alone")
	flags.BoolVar(&o.create, "create", false, "create what is missing: environments, and the project")
	flags.BoolVar(&o.dryRun, "dry-run", false, "show the plan and write nothing")
	flags.BoolVarP(&o.yes, "yes", "y", false, "write without asking")
	flags.BoolVar(&o.asJSON, "json", false, "print JSON: what was done, or the plan")
	return group
}

func newImportSourceCommand(c *cli, f *clientFlags, shared *importOptions, source importSource) *cobra.Command {
	cmd := &cobra.Command{
		Use:   string(source.from) + " FILE",
		Short: source.short,
		Long: source.long + `

FILE is - for standard input. A file with several environments or paths puts each
into the environment of the same name, or where --map says; with --map the others
are left out. Each request of up to 1,000 secrets is written as a whole or not at
all, and only if nothing has changed since the plan.` + exits(clientKinds(fault.NotFound, fault.Conflict)...),
		Example: source.example,
		Args:    takes(1, 1, "one FILE, or - for standard input"),
	}
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if args[0] == "-" && f.readsTokenFromInput() {
			return wrongUse(cmd, "Standard input can not hold both the token and the secrets.")
		}
		if _, err := importMap(shared.maps); err != nil {
			return wrongUse(cmd, "%v.", err)
		}
		return nil
	}
	cmd.RunE = c.clientRun(f, func(ctx context.Context, s *session, args []string) error {
		o := *shared
		o.from = source.from
		file, err := s.readImport(ctx, o, args[0])
		if err != nil {
			return err
		}
		return s.importFile(ctx, o, file, args[0] != "-")
	})
	return cmd
}

// readImport reads and checks a whole file before anything is sent.
func (s *session) readImport(ctx context.Context, o importOptions, name string) (*interchange.File, error) {
	from, shown := s.streams.In, "Standard input"
	if name != "-" {
		f, err := s.openValueFile(name)
		if err != nil {
			return nil, err
		}
		defer f.Close() //nolint:errcheck // it was only read
		from, shown = f, name
	}
	data, err := inTime(ctx, func() ([]byte, error) {
		var b bytes.Buffer
		_, err := b.ReadFrom(io.LimitReader(from, interchange.MaxBytes+1))
		return b.Bytes(), err
	})
	if fault.As(err) != nil {
		return nil, err
	}
	if err != nil {
		return nil, fault.Wrap(fault.Usage, err, fmt.Sprintf("%s can not be read: %s.", shown, ioReason(err)))
	}
	file, err := interchange.Read(o.from, data, interchange.Options{RenameKeys: o.renameKeys, NestedAsJSON: o.nestedAsJSON})
	if err != nil {
		return nil, interchange.Fault(err, shown)
	}
	return file, nil
}

// importFile plans, shows, asks and writes.
func (s *session) importFile(ctx context.Context, o importOptions, file *interchange.File, canAsk bool) error {
	targets, err := s.importTargets(ctx, o, file)
	if err != nil {
		return err
	}
	for _, note := range file.Notes {
		s.tell("Note: %s", note)
	}
	if err := s.planImport(ctx, o, file, targets); err != nil {
		return err
	}
	if err := s.showImport(o, file, targets); err != nil {
		return err
	}
	if o.dryRun {
		return nil
	}
	if err := s.confirmImport(ctx, o, targets, canAsk); err != nil {
		return err
	}
	if err := s.writeImport(ctx, targets); err != nil {
		return err
	}
	if o.asJSON {
		return s.printJSON(importAnswer(o, file, targets))
	}
	return nil
}

// confirmImport makes sure that the person has seen the plan and wants it.
func (s *session) confirmImport(ctx context.Context, o importOptions, targets []*importTarget, canAsk bool) error {
	work := 0
	for _, t := range targets {
		work += t.work()
	}
	if o.yes || work == 0 {
		return nil
	}
	if !canAsk || !isTerminal(s.streams.In) {
		return fault.New(fault.Usage, "Nothing was written. To write this, add --yes.")
	}
	typed, err := s.ask(ctx, "Write this? [y/N] ")
	if err != nil {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(typed)) {
	case "y", "yes":
		return nil
	}
	return fault.New(fault.Usage, "Nothing was written.")
}
