package cmd

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/client"
	"github.com/heartlock/heartlock/pkg/fault"
)

func newEnvironmentsHistoryCommand(c *cli, f *clientFlags) *cobra.Command {
	var (
		limit  int
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "history ENVIRONMENT",
		Short: "List the changes of an environment's secrets",
		Long:  "Lists the revisions of an environment, the newest first: who changed which secrets." + exits(clientKinds(fault.NotFound)...),
		Example: `  heartlock environments history production --project shop
  heartlock environments restore production --revision 41 --project shop`,
		Args: takes(1, 1, "the name of one ENVIRONMENT"),
	}
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if limit < 1 {
			return wrongUse(cmd, "--limit must be at least 1.")
		}
		return nil
	}
	cmd.RunE = c.clientRun(f, func(ctx context.Context, s *session, args []string) error {
		project, err := s.project(ctx)
		if err != nil {
			return err
		}
		revisions := []api.EnvironmentRevision{}
		for r, err := range s.client.Revisions(ctx, client.Environment{Project: project, Slug: args[0]}) {
			if err != nil {
				return err
			}
			if revisions = append(revisions, r); len(revisions) == limit {
				break
			}
		}
		if asJSON {
			return s.printJSON(revisions)
		}
		t := table{head: []string{"REVISION", "CHANGED", "BY", "SECRETS"}}
		for _, r := range revisions {
			t.add(strconv.FormatInt(r.Revision, 10), when(r.At), r.By.Name, changesText(r))
		}
		return s.printTable(t)
	})
	cmd.Flags().IntVar(&limit, "limit", 50, "`NUMBER` of revisions")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// changesText is "+NEW ~CHANGED -GONE OLD>RENAMED".
func changesText(r api.EnvironmentRevision) string {
	var parts []string
	for _, key := range r.Created {
		parts = append(parts, "+"+key)
	}
	for _, key := range r.Updated {
		parts = append(parts, "~"+key)
	}
	for _, key := range r.Deleted {
		parts = append(parts, "-"+key)
	}
	for _, n := range r.Renamed {
		parts = append(parts, n.From+">"+n.To)
	}
	const shown = 8
	if len(parts) > shown {
		return strings.Join(parts[:shown], " ") + fmt.Sprintf(" and %d more", len(parts)-shown)
	}
	return strings.Join(parts, " ")
}

func newEnvironmentsRestoreCommand(c *cli, f *clientFlags) *cobra.Command {
	var (
		moment      momentFlags
		yes, asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "restore ENVIRONMENT",
		Short: "Put an environment back to what it was",
		Long: `Puts all secrets of an environment back to what they were at a revision or at a
time: keys, values and comments. It is one new revision, so it can be taken back
too. First it shows what would change, by key; then it asks, unless --yes is given.` + exits(clientKinds(fault.NotFound, fault.PreconditionFailed)...),
		Example: `  heartlock environments restore production --revision 41 --project shop
  heartlock environments restore production --at 2h --project shop`,
		Args: takes(1, 1, "the name of one ENVIRONMENT"),
	}
	request := api.RestoreRequest{}
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) (err error) {
		if !moment.given() {
			return wrongUse(cmd, "Say with --revision or --at what it shall be put back to.")
		}
		request.Revision, request.At, err = moment.read(cmd)
		return err
	}
	cmd.RunE = c.clientRun(f, func(ctx context.Context, s *session, args []string) error {
		project, err := s.project(ctx)
		if err != nil {
			return err
		}
		e := client.Environment{Project: project, Slug: args[0]}
		result, err := s.restore(ctx, e, request, yes)
		if err == nil && asJSON {
			err = s.printJSON(result)
		}
		return err
	})
	moment.register(cmd)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do it without asking")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// restore shows the plan, asks, and carries it out if nobody has changed the
// environment meanwhile.
func (s *session) restore(ctx context.Context, e client.Environment, r api.RestoreRequest, yes bool) (api.BulkResult, error) {
	r.DryRun = true
	plan, err := s.client.RestoreEnvironment(ctx, e, r)
	if err != nil {
		return plan, err
	}
	s.tellPlan(plan)
	if len(plan.Created)+len(plan.Updated)+len(plan.Deleted) == 0 {
		s.tell("%s is as it was. Nothing was changed.", e)
		return plan, nil
	}
	if !yes {
		if err := s.askToGoOn(ctx, "Change "+e.String()+" like this?"); err != nil {
			return plan, err
		}
	}
	r.DryRun = false
	result, err := s.client.RestoreEnvironment(ctx, e, r, client.IfMatch(strconv.Quote(strconv.FormatInt(plan.Revision, 10))))
	if errors.Is(err, fault.PreconditionFailed) {
		return result, fault.Wrap(fault.PreconditionFailed, err, "Somebody has changed "+e.String()+" meanwhile. Nothing was done; run the command again.")
	}
	if err == nil {
		s.tell("%s is restored (revision %d).", e, result.Revision)
	}
	return result, err
}

// tellPlan lists what would change, by key.
func (s *session) tellPlan(plan api.BulkResult) {
	for _, part := range []struct {
		mark string
		keys []string
	}{{"+", plan.Created}, {"~", plan.Updated}, {"-", plan.Deleted}} {
		for _, key := range part.keys {
			s.tell("%s %s", part.mark, key)
		}
	}
}

// askToGoOn asks a person; where nobody can be asked, --yes has to say so.
func (s *session) askToGoOn(ctx context.Context, question string) error {
	if !isTerminal(s.streams.In) {
		return fault.New(fault.Usage, "Nothing was changed. There is no terminal to ask at; to go on, add --yes.")
	}
	answer, err := s.ask(ctx, question+" [y/N] ")
	if err != nil {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return fault.New(fault.Invalid, "Nothing was changed.")
}
