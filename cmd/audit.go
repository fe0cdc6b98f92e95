package cmd

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/server"
	"github.com/heartlock/heartlock/pkg/vault"
)

func newAuditCommand(c *cli) *cobra.Command {
	cmd := newGroup("audit", "Verify and export the audit trail")
	cmd.Long = `Works on the audit trail of this server. Every event carries a MAC over itself and
the event before it, so that nobody who can only write to the database changes,
removes or adds one without a trace.` + exits(fault.Unavailable)
	cmd.Example = "  heartlock audit verify"
	cmd.AddCommand(newAuditVerifyCommand(c), newAuditExportCommand(c), newAuditRestartChainCommand(c))
	return cmd
}

type auditVerifyOptions struct {
	envFileFlag
	expect string
}

func newAuditVerifyCommand(c *cli) *cobra.Command {
	o := &auditVerifyOptions{}
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Find out whether the audit trail was tampered with",
		Long: `Reads every event of the audit trail and checks its MAC, and that none is missing
or was inserted. It prints the end of the trail as POSITION:HEX. Keep that line
elsewhere: with --expect it proves later that nothing up to there was changed or
cut off, also against somebody who has the encryption key or who puts an older
state of the database back. It changes nothing, and may run beside running servers.

Exit codes:
  0  nothing was found
  1  the trail was tampered with, or the command failed
  2  wrong use or configuration
  7  the server or the network is unavailable`,
		Example: `  heartlock audit verify
  heartlock audit verify --expect 1234:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08`,
		Args: takes(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.verifyAudit(cmd.Context(), o) },
	}
	o.register(cmd)
	cmd.Flags().StringVar(&o.expect, "expect", "", "a `POSITION:HEX` that an earlier verification has printed")
	return cmd
}

func (c *cli) verifyAudit(ctx context.Context, o *auditVerifyOptions) error {
	var expect *vault.AuditHead
	if o.expect != "" {
		head, err := vault.ParseAuditHead(o.expect)
		if err != nil {
			return err
		}
		expect = &head
	}
	restrictFileModes()
	return c.withInstance(ctx, &o.envFileFlag, func(i *server.Instance) error {
		p := c.newProgress()
		found, err := i.Vault.VerifyAudit(ctx, vault.Local(), expect, func(done, total int64) { p.show("verified", done, total) })
		p.clear()
		if err != nil {
			return err
		}
		return c.printVerification(found, expect != nil)
	})
}

func (c *cli) printVerification(found vault.AuditVerification, expected bool) error {
	if found.Uncovered > 0 {
		c.say("Nothing protects %s, until %s: the chain began later, or there was no encryption key yet. Whoever can write to the database could have made or changed them.",
			plural(int(found.Uncovered), "event"), found.UncoveredTo.Format(time.RFC3339))
	}
	if !found.HasKey && found.Checked > 0 {
		c.say("No encryption key is configured yet, so everybody could have made the trail.")
	}
	if !found.OK() {
		return c.printAuditProblems(found)
	}
	if found.Checked == 0 {
		c.say("The audit trail holds no event that could be verified.")
		return nil
	}
	c.say("%s verified, from %s to %s; the last one is %d. Nothing was changed, removed or inserted.",
		plural(int(found.Checked), "event"), found.From.Format(time.RFC3339), found.To.Format(time.RFC3339), found.LastID)
	if expected {
		c.say("The trail is still the one that was expected.")
	}
	c.say("Keep the next line elsewhere: --expect with it proves later that nothing up to here was changed or cut off.")
	return c.printLine(found.Head.String())
}

func (c *cli) printAuditProblems(found vault.AuditVerification) error {
	for _, p := range found.Problems {
		if err := c.printLine(p.String()); err != nil {
			return err
		}
	}
	if found.More > 0 {
		if err := c.printLine("And " + plural(int(found.More), "more problem") + "."); err != nil {
			return err
		}
	}
	c.say("The audit trail was tampered with, or the database is damaged. %s looked at.", plural(int(found.Checked), "event"))
	return exitCode(1)
}

func newAuditRestartChainCommand(c *cli) *cobra.Command {
	o := &envFileFlag{}
	cmd := &cobra.Command{
		Use:   "restart-chain",
		Short: "Begin a new chain if the key of the present one is lost",
		Long: `The key of the audit trail's chain is encrypted with the encryption key. If it is
damaged nothing can be recorded any more, so nothing can be done. This command then
begins a new chain, and records that. What was recorded before stays, but nothing
protects it any more: "audit verify" says how much that is. A chain whose key can be
opened is left as it is.` + exits(fault.Conflict, fault.Unavailable),
		Example: "  heartlock audit restart-chain",
		Args:    takes(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			restrictFileModes()
			return c.withInstance(cmd.Context(), o, func(i *server.Instance) error {
				if err := i.Vault.RestartChain(cmd.Context(), vault.Local()); err != nil {
					return err
				}
				c.say("A new chain was begun. Restart the servers. Find out who damaged the database: `heartlock audit verify` says what is not protected any more.")
				return nil
			})
		},
	}
	o.register(cmd)
	return cmd
}

type auditExportOptions struct {
	envFileFlag
	query    vault.AuditQuery
	from, to string
	output   string
}

func newAuditExportCommand(c *cli) *cobra.Command {
	o := &auditExportOptions{}
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the audit trail as JSON lines",
		Long: `Writes the events of the audit trail, the oldest first, each as a JSON object in a
line of its own: id, at, actor (kind, id, name), credential, action, outcome,
project (its id), environment, target, ip, user_agent, request_id, detail, mac (in
hexadecimal digits). What is empty is left out. Values of secrets are never in it.
The export is audited.` + exits(fault.NotFound, fault.Conflict, fault.Unavailable),
		Example: `  heartlock audit export --from 24h | jq 'select(.outcome == "refused")'
  heartlock audit export --project shop --action secret.read --output reads.jsonl`,
		Args: takes(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.readTimes(cmd); err != nil {
				return err
			}
			return c.exportAudit(cmd.Context(), o)
		},
	}
	o.register(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.from, "from", "", "not before a `TIME` such as 2027-01-31T12:00:00Z, or how long ago, such as 90m or 48h")
	flags.StringVar(&o.to, "to", "", "before a `TIME`, as of --from")
	flags.StringVar(&o.query.Project, "project", "", "only of a `PROJECT`, by its slug or id")
	flags.StringVar(&o.query.Environment, "environment", "", "only of an `ENVIRONMENT`, by its slug at the time")
	flags.StringVar(&o.query.Action, "action", "", "only one `ACTION`, such as secret.read")
	flags.StringVar(&o.query.Actor, "actor", "", "only of the user or token with an `ID`")
	flags.StringVar(&o.query.Outcome, "outcome", "", "only what had an `OUTCOME`: success or refused")
	flags.StringVarP(&o.output, "output", "o", "", "a new `FILE` to write to instead of standard output")
	return cmd
}

func (o *auditExportOptions) readTimes(cmd *cobra.Command) (err error) {
	if o.query.From, err = readMoment(cmd, "--from", o.from); err == nil {
		o.query.To, err = readMoment(cmd, "--to", o.to)
	}
	return err
}

func (c *cli) exportAudit(ctx context.Context, o *auditExportOptions) error {
	restrictFileModes()
	return c.withInstance(ctx, &o.envFileFlag, func(i *server.Instance) error {
		if o.output == "" || o.output == "-" {
			return exportAuditTo(ctx, i, o.query, c.streams.Out)
		}
		path := c.path(o.output)
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			return fault.Newf(fault.Conflict, "%s is there already. Nothing was written; choose another name.", path)
		}
		if err != nil {
			return fault.Wrap(fault.Usage, err, path+" can not be written: "+ioReason(err)+".")
		}
		err = exportAuditTo(ctx, i, o.query, file)
		if err == nil {
			err = file.Sync()
		}
		if err = errors.Join(err, file.Close()); err != nil {
			return errors.Join(err, os.Remove(path)) // half a trail would be taken for a whole one
		}
		return nil
	})
}

func exportAuditTo(ctx context.Context, i *server.Instance, query vault.AuditQuery, to io.Writer) error {
	out := bufio.NewWriterSize(to, 1<<16)
	write := func(e api.AuditEvent) error {
		if err := api.Encode(out, e); err != nil {
			return err
		}
		return unwritable(out.WriteByte('\n'))
	}
	if err := i.Vault.ExportAudit(ctx, vault.Local(), query, write); err != nil {
		return err
	}
	return unwritable(out.Flush())
}

func unwritable(err error) error {
	if err == nil {
		return nil
	}
	return fault.Wrap(fault.Invalid, err, "The export can not be written: "+ioReason(err)+".")
}
