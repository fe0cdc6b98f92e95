package cmd

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/migrations"
	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/server"
	"github.com/heartlock/heartlock/pkg/store"
)

func newMigrateCommand(c *cli) *cobra.Command {
	var check bool
	f := &envFileFlag{}
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database's schema up to date",
		Long: `Applies the migrations that the database lacks, each in a transaction of its own.
Any number of processes may do so at the same time: one works, the others wait.
A server does it by itself when it starts.` + exits(fault.Unavailable),
		Example: `  heartlock migrate
  heartlock migrate --check     exit 1 if there is something to do
  heartlock migrate status`,
		Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if check {
				return c.checkMigrations(cmd.Context(), f)
			}
			return c.migrateUp(cmd.Context(), f)
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "change nothing; exit 1 if migrations are pending")
	f.register(cmd)
	cmd.AddCommand(newMigrateUpCommand(c), newMigrateStatusCommand(c), newMigrateDownCommand(c))
	return cmd
}

func newMigrateUpCommand(c *cli) *cobra.Command {
	f := &envFileFlag{}
	cmd := &cobra.Command{
		Use:     "up",
		Short:   "Apply the migrations that the database lacks",
		Long:    "Applies the migrations that the database lacks. The same as heartlock migrate." + exits(fault.Unavailable),
		Example: "  heartlock migrate up",
		Args:    takes(0, 0, "no arguments"),
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.migrateUp(cmd.Context(), f) },
	}
	f.register(cmd)
	return cmd
}

func newMigrateStatusCommand(c *cli) *cobra.Command {
	var asJSON bool
	f := &envFileFlag{}
	cmd := &cobra.Command{
		Use:   "status",
		Short: "List the migrations and which are applied",
		Long:  "Lists the migrations of this program and of the database." + exits(fault.Unavailable),
		Example: `  heartlock migrate status
  heartlock migrate status --json`,
		Args: takes(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.migrateStatus(cmd.Context(), f, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	f.register(cmd)
	return cmd
}

func newMigrateDownCommand(c *cli) *cobra.Command {
	to := -1
	var confirm string
	f := &envFileFlag{}
	cmd := &cobra.Command{
		Use:   "down --to N",
		Short: "Undo migrations",
		Long: `Undoes the migrations above number N, newest first, where they can be undone. What
the schema can no longer hold is lost: make a backup first. Stop all servers
before.` + exits(fault.Unavailable),
		Example: "  heartlock migrate down --to 1 --confirm 1",
		Args:    takes(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if to < 0 {
				return wrongUse(cmd, "Say with --to which migration shall be the last.")
			}
			if confirm != strconv.Itoa(to) {
				return wrongUse(cmd, "Nothing was undone. This can lose data; to go on, add --confirm %d.", to)
			}
			return c.migrateDown(cmd.Context(), f, to)
		},
	}
	cmd.Flags().IntVar(&to, "to", -1, "number of the migration that shall be the last")
	cmd.Flags().StringVar(&confirm, "confirm", "", "the same number again")
	f.register(cmd)
	return cmd
}

// withStore opens the server's database without looking at what is in it.
func (c *cli) withStore(ctx context.Context, f *envFileFlag, do func(*store.Store) error) error {
	restrictFileModes()
	cfg, err := config.LoadServer(f.options(c, nil))
	if err != nil {
		return err
	}
	st, err := server.OpenStore(ctx, cfg)
	if err != nil {
		return err
	}
	err = do(st)
	if closeErr := st.Close(); err == nil {
		err = closeErr
	}
	return err
}

func (c *cli) migrateUp(ctx context.Context, f *envFileFlag) error {
	return c.withStore(ctx, f, func(st *store.Store) error {
		applied, err := st.Migrate(ctx)
		c.sayMigrations("applied", applied)
		if err == nil && len(applied) == 0 {
			c.say("The database is up to date.")
		}
		return err
	})
}

func (c *cli) sayMigrations(what string, list []migrations.Migration) {
	for _, m := range list {
		c.say("%s %04d %s", what, m.Version, m.Name)
	}
}

func (c *cli) checkMigrations(ctx context.Context, f *envFileFlag) error {
	return c.withStore(ctx, f, func(st *store.Store) error {
		pending, err := st.Pending(ctx)
		if err != nil || len(pending) == 0 {
			return err
		}
		c.sayMigrations("pending", pending)
		return exitCode(1)
	})
}

func (c *cli) migrateDown(ctx context.Context, f *envFileFlag, to int) error {
	return c.withStore(ctx, f, func(st *store.Store) error {
		undone, err := st.Down(ctx, to)
		c.sayMigrations("undid", undone)
		return err
	})
}

func (c *cli) migrateStatus(ctx context.Context, f *envFileFlag, asJSON bool) error {
	return c.withStore(ctx, f, func(st *store.Store) error {
		list, err := st.Status(ctx)
		if err != nil {
			return err
		}
		lines := []migrationLine{}
		t := table{head: []string{"VERSION", "NAME", "STATE"}}
		for _, m := range list {
			lines = append(lines, newMigrationLine(m))
			t.add(fmt.Sprintf("%04d", m.Version), m.Name, migrationState(m))
		}
		if asJSON {
			return c.printJSON(lines)
		}
		return c.printTable(t)
	})
}

// migrationLine is a migration in JSON.
type migrationLine struct {
	Version   int        `json:"version"`
	Name      string     `json:"name"`
	Applied   bool       `json:"applied"`
	AppliedAt *time.Time `json:"applied_at"` // null when it is not
	Known     bool       `json:"known"`      // false: a newer heartlock applied it
}

func newMigrationLine(m store.MigrationStatus) migrationLine {
	line := migrationLine{Version: m.Version, Name: m.Name, Applied: m.Applied, Known: m.Known}
	if m.Applied {
		line.AppliedAt = &m.AppliedAt
	}
	return line
}

func migrationState(m store.MigrationStatus) string {
	state := "pending"
	if m.Applied {
		state = "applied " + when(m.AppliedAt)
	}
	if !m.Known {
		state += " by a newer heartlock"
	}
	return state
}
