package cmd

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/diagnosis"
)

type checkOptions struct {
	envFileFlag
	deploy     bool
	decryptAll bool
	json       bool
}

func newCheckCommand(c *cli) *cobra.Command {
	o := &checkOptions{}
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Find what is wrong with this installation",
		Long: `Looks at the settings, the files, the database, the encryption key and the stored
values of the server in this directory, and says what is wrong and what to do.
It changes nothing, makes no file, and may run beside running servers.

With --deploy the installation is held to what production needs. Run it after
each change of the settings.

Exit codes:
  0  nothing was found
  1  something was found, or the command failed
  2  wrong use, or settings that a server would not start with`,
		Example: `  heartlock check
  heartlock check --deploy
  heartlock check --decrypt-all         after a backup was restored`,
		Args: takes(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.check(cmd.Context(), o) },
	}
	o.register(cmd)
	cmd.Flags().BoolVar(&o.deploy, "deploy", false, "hold the installation to what production needs")
	cmd.Flags().BoolVar(&o.decryptAll, "decrypt-all", false, "decrypt every stored value and every former version, not only a sample")
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

func (c *cli) check(ctx context.Context, o *checkOptions) error {
	restrictFileModes() // of the files that SQLite needs while it reads
	cfg, err := config.LoadServer(o.options(c, nil))
	if err != nil {
		return err
	}
	report, err := diagnosis.Examine(ctx, cfg, diagnosis.Options{Deploy: o.deploy, DecryptAll: o.decryptAll})
	if err != nil {
		return err
	}
	if o.json {
		err = c.printJSON(report)
	} else {
		err = c.printReport(report)
	}
	if err == nil && !report.OK {
		err = exitCode(1)
	}
	return err
}

// printReport writes one line for each thing that was looked at: first what is
// right, then what is wrong, the worst last, where a person looks first.
func (c *cli) printReport(r diagnosis.Report) error {
	for _, p := range r.Passed {
		if err := c.printLine(checkLine("ok", p.Subject, p.Message)); err != nil {
			return err
		}
	}
	for _, severity := range []diagnosis.Severity{diagnosis.Warning, diagnosis.Error} {
		for _, f := range r.Findings {
			if f.Severity != severity {
				continue
			}
			if err := c.printLine(checkLine(string(f.Severity), f.Subject, f.Message)); err != nil {
				return err
			}
		}
	}
	c.say("%s", summary(r))
	return nil
}

// checkLine is a finding in one line. Messages of settings often begin with
// their subject.
func checkLine(kind, subject, message string) string {
	if !strings.HasPrefix(message, subject) {
		message = subject + ": " + message
	}
	return fmt.Sprintf("%-7s  %s", kind, cell(message))
}

// summary counts the findings.
func summary(r diagnosis.Report) string {
	if r.OK {
		return "Nothing is wrong."
	}
	counts := map[diagnosis.Severity]int{}
	for _, f := range r.Findings {
		counts[f.Severity]++
	}
	var parts []string
	for _, severity := range []diagnosis.Severity{diagnosis.Error, diagnosis.Warning} {
		if n := counts[severity]; n > 0 {
			parts = append(parts, plural(n, string(severity)))
		}
	}
	return strings.Join(parts, ", ") + "."
}

// plural is "1 warning" or "2 warnings".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
