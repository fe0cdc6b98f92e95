package cmd

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/client"
	"github.com/heartlock/heartlock/pkg/fault"
)

func newTokensCommand(c *cli) *cobra.Command {
	f := &clientFlags{}
	group := newGroup("tokens", "List, create and revoke tokens")
	list := newTokensListCommand(c, f)
	group.Long = `Service tokens let machines, such as CI jobs, at the secrets of some environments
of one project. Your own tokens, which act for you, can be listed and revoked with
--personal; they are made where you sign in with your password. Without a command
it lists the tokens.` + exits(clientKinds(fault.NotFound)...)
	group.AddCommand(list, newTokensCreateCommand(c, f), newTokensRevokeCommand(c, f))
	f.register(group.PersistentFlags(), inProject)
	listByDefault(group, list)
	return group
}

func newTokensListCommand(c *cli, f *clientFlags) *cobra.Command {
	var personal, asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the service tokens of a project, or your own tokens",
		Long: `Lists the service tokens of a project, or with --personal your own tokens. A token
itself is never shown again after it was made.` + exits(clientKinds(fault.NotFound)...),
		Example: `  heartlock tokens --project shop
  heartlock tokens --personal`,
		Args: takes(0, 0, "no arguments"),
		RunE: c.clientRun(f, func(ctx context.Context, s *session, _ []string) error {
			if personal {
				return listPersonalTokens(ctx, s, asJSON)
			}
			return listServiceTokens(ctx, s, asJSON)
		}),
	}
	cmd.Flags().BoolVar(&personal, "personal", false, "your own tokens")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func listServiceTokens(ctx context.Context, s *session, asJSON bool) error {
	project, err := s.project(ctx)
	if err != nil {
		return err
	}
	tokens, err := client.Collect(s.client.ServiceTokens(ctx, project))
	if err != nil {
		return err
	}
	if asJSON {
		return s.printJSON(tokens)
	}
	t := table{head: []string{"ID", "NAME", "PREFIX", "ENVIRONMENTS", "ACCESS", "EXPIRES", "LAST USED"}}
	for _, k := range tokens {
		t.add(k.ID, k.Name, k.Prefix, strings.Join(k.Environments, ","), string(k.Access), whenOr(k.ExpiresAt, "never"), whenOr(k.LastUsedAt, "never"))
		if k.ExposedAt != nil {
			s.tell("The token %s was sent over plain http at %s: revoke it and make a new one.", k.Name, when(*k.ExposedAt))
		}
	}
	return s.printTable(t)
}

func listPersonalTokens(ctx context.Context, s *session, asJSON bool) error {
	tokens, err := client.Collect(s.client.PersonalTokens(ctx))
	if err != nil {
		return err
	}
	if asJSON {
		return s.printJSON(tokens)
	}
	t := table{head: []string{"ID", "NAME", "PREFIX", "EXPIRES", "LAST USED"}}
	for _, k := range tokens {
		t.add(k.ID, k.Name, k.Prefix, whenOr(k.ExpiresAt, "never"), whenOr(k.LastUsedAt, "never"))
	}
	return s.printTable(t)
}

// createToken is the options of `tokens create`.
type createToken struct {
	environments []string
	access       string
	expires      string
	cidrs        []string
	asJSON       bool

	expiresAt *time.Time // what expires means; nil = never
}

// check reads --expires and refuses flags that do not go together.
func (o *createToken) check(cmd *cobra.Command, now time.Time) (err error) {
	if o.expiresAt, err = parseExpiry(o.expires, now); err != nil {
		return wrongUse(cmd, "--expires is a lifetime such as 12h, 90d or 4w, a time such as 2027-01-31T12:00:00Z, or never; it %v.", err)
	}
	switch {
	case len(o.environments) == 0:
		return wrongUse(cmd, "For which environments is the token? Name each by --environment.")
	case !api.Access(o.access).Valid():
		return wrongUse(cmd, "--access is read or write.")
	}
	return nil
}

func newTokensCreateCommand(c *cli, f *clientFlags) *cobra.Command {
	var o createToken
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a service token",
		Long: `Creates a service token for the environments that --environment names. Prints the
token, which is shown this one time only, and nothing else on standard output.` + exits(clientKinds(fault.NotFound, fault.Conflict)...),
		Example: `  heartlock tokens create ci --project shop --environment production --expires 90d
  heartlock tokens create deploy --project shop -e staging -e production --access write --cidr 203.0.113.0/24
  heartlock tokens create nightly --project shop -e staging --expires 2027-01-31T12:00:00Z --quiet > token`,
		Args: takes(1, 1, "the NAME of the new token"),
	}
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error { return o.check(cmd, c.now()) }
	cmd.RunE = c.clientRun(f, func(ctx context.Context, s *session, args []string) error {
		return createServiceToken(ctx, s, api.CreateServiceToken{
			Name: args[0], Environments: o.environments, Access: api.Access(o.access), AllowedCIDRs: o.cidrs, ExpiresAt: o.expiresAt,
		}, o.asJSON)
	})
	flags := cmd.Flags()
	flags.StringSliceVarP(&o.environments, "environment", "e", nil, "`ENVIRONMENT` that the token is for; may be given several times")
	flags.StringVar(&o.access, "access", string(api.AccessRead), "`ACCESS`: read, or write (which reads as well)")
	flags.StringVar(&o.expires, "expires", "never", "`WHEN`: a lifetime such as 12h, 90d or 4w, a time (RFC 3339), or never")
	flags.StringSliceVar(&o.cidrs, "cidr", nil, "`NETWORK` from which the token may be used, such as 203.0.113.0/24; may be given several times")
	flags.BoolVar(&o.asJSON, "json", false, "print JSON, the token included")
	return cmd
}

func createServiceToken(ctx context.Context, s *session, request api.CreateServiceToken, asJSON bool) error {
	project, err := s.project(ctx)
	if err != nil {
		return err
	}
	t, err := s.client.CreateServiceToken(ctx, project, request)
	if err != nil {
		return err
	}
	from := ""
	if len(t.AllowedCIDRs) > 0 {
		from = " from " + strings.Join(t.AllowedCIDRs, ", ")
	}
	s.tell("Created the service token %s (%s): it may %s the secrets of %s in %s%s, and expires %s.\nIt is not shown again.",
		t.Name, t.ID, t.Access, strings.Join(t.Environments, ", "), project, from, expiryText(t.ExpiresAt))
	if asJSON {
		return s.printJSON(t)
	}
	return s.printLine(t.Token.Reveal())
}

func newTokensRevokeCommand(c *cli, f *clientFlags) *cobra.Command {
	var personal bool
	cmd := &cobra.Command{
		Use:   "revoke ID",
		Short: "Revoke a token at once",
		Long: `Revokes a service token of a project, or with --personal one of your own tokens.
The next request with it is refused. The id is in the list of tokens.` + exits(clientKinds(fault.NotFound)...),
		Example: `  heartlock tokens revoke 01920f3e-7a52-7c4e-8a31-5d3a0f3b9c11 --project shop`,
		Args:    takes(1, 1, "the ID of one token, as the list of tokens shows it"),
		RunE: c.clientRun(f, func(ctx context.Context, s *session, args []string) error {
			if strings.HasPrefix(args[0], "hlp_") {
				return fault.New(fault.Usage, "That is a token, not the id of one. Find the id in the list of tokens, by the token's first characters.")
			}
			if personal {
				if err := s.client.RevokePersonalToken(ctx, args[0]); err != nil {
					return err
				}
				s.tell("Revoked the personal token %s.", args[0])
				return nil
			}
			project, err := s.project(ctx)
			if err != nil {
				return err
			}
			if err := s.client.RevokeServiceToken(ctx, project, args[0]); err != nil {
				return err
			}
			s.tell("Revoked the service token %s of %s.", args[0], project)
			return nil
		}),
	}
	cmd.Flags().BoolVar(&personal, "personal", false, "one of your own tokens")
	return cmd
}

func expiryText(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return "at " + when(*t)
}

// Why an expiry is refused, to follow "it".
var (
	errNoExpiry   = errors.New("is none of these")
	errPastExpiry = errors.New("must lie in the future")
)

// parseExpiry reads a lifetime (a whole number of hours, days or weeks), a time,
// or "never", which is nil.
func parseExpiry(text string, now time.Time) (*time.Time, error) {
	if text == "never" {
		return nil, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		lifetime, err := parseLifetime(text)
		if err != nil {
			return nil, err
		}
		at = now.Add(lifetime)
	}
	if !at.After(now) {
		return nil, errPastExpiry
	}
	at = at.UTC().Truncate(time.Second)
	return &at, nil
}

func parseLifetime(text string) (time.Duration, error) {
	units := map[byte]time.Duration{'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	if text == "" {
		return 0, errNoExpiry
	}
	unit, ok := units[text[len(text)-1]]
	n, err := strconv.ParseUint(text[:len(text)-1], 10, 16)
	if err != nil || !ok {
		return 0, errNoExpiry
	}
	return time.Duration(n) * unit, nil
}
