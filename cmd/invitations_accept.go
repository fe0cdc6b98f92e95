package cmd

import (
	"context"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/client"
	"github.com/heartlock/heartlock/pkg/fault"
)

// acceptOptions are those of `invitations accept`.
type acceptOptions struct {
	password           passwordFlag
	first, last        string
	insecureHTTP, json bool
	quiet              bool
}

func newInvitationsAcceptCommand(c *cli) *cobra.Command {
	var o acceptOptions
	cmd := &cobra.Command{
		Use:   "accept LINK",
		Short: "Accept an invitation, and create the account that it is for",
		Long: `Accepts an invitation to a project and creates the account of the invited address,
with a password that is asked for. It talks to the server that the link names, and
needs no token: a token can not accept invitations, so that a stolen one opens no
further projects. If you have an account already, open the link in a browser and
sign in there.` + exits(fault.Forbidden, fault.NotFound, fault.Conflict, fault.Unavailable),
		Example: `  heartlock invitations accept https://secrets.example.com/invitations/…/`,
		Args:    takes(1, 1, "the LINK of one invitation"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.accept(cmd.Context(), c, cmd, args[0])
		},
	}
	flags := cmd.Flags()
	o.password.register(cmd)
	flags.StringVar(&o.first, "first-name", "", "first name")
	flags.StringVar(&o.last, "last-name", "", "last name")
	flags.BoolVar(&o.insecureHTTP, "insecure-http", false, "send the password over plain http to another machine, too")
	flags.BoolVar(&o.quiet, "quiet", false, "print no messages but errors")
	flags.BoolVar(&o.json, "json", false, "print JSON: the project and the account")
	return cmd
}

// parseLink takes the server and the token out of the link of an invitation,
// which is not repeated.
func parseLink(link string) (server, token string, ok bool) {
	u, err := url.Parse(link)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", "", false
	}
	token, ok = strings.CutPrefix(strings.TrimSuffix(u.Path, "/"), "/invitations/")
	return u.Scheme + "://" + u.Host, token, ok && token != "" && !strings.Contains(token, "/")
}

func (o *acceptOptions) accept(ctx context.Context, c *cli, cmd *cobra.Command, link string) error {
	server, token, ok := parseLink(link)
	if !ok {
		return wrongUse(cmd, "This is not the link of an invitation, such as https://secrets.example.com/invitations/…/.")
	}
	remote, err := client.New(client.Options{Server: server, UserAgent: c.build.userAgent(), InsecureHTTP: o.insecureHTTP})
	if err != nil {
		return err
	}
	defer remote.Close()
	opened, err := remote.OpenInvitation(ctx, token)
	if err != nil {
		return err
	}
	if err := o.acceptable(&opened); err != nil {
		return err
	}
	o.tell(c, "%s", describeInvitation(&opened))
	request := api.AcceptInvitation{FirstName: o.first, LastName: o.last}
	password, err := o.password.read(ctx, c, cmd)
	if err != nil {
		return err
	}
	request.Password = &password
	accepted, err := remote.AcceptInvitation(ctx, token, request)
	if err != nil {
		return inWordsOfTheCommand(err, map[string]string{
			"body.password": "The password", "body.first_name": "--first-name", "body.last_name": "--last-name",
		})
	}
	o.tell(c, "Created the account %s. It is %s in %s now. Sign in at %s.", accepted.Account.Email, accepted.Project.Role, accepted.Project.Slug, server)
	if o.json {
		return c.printJSON(accepted)
	}
	return nil
}

// acceptable says, before a password is asked for, why there is no use in one.
func (o *acceptOptions) acceptable(opened *api.OpenedInvitation) error {
	switch {
	case opened.State != api.InvitationPending:
		return fault.New(fault.Gone, "This invitation is not valid any more: it was used, revoked or sent again, or its time is over. Ask for a new one.")
	case opened.AccountExists:
		return fault.Newf(fault.Conflict, "There is an account with the address %s. Open the link in a browser and sign in there: a token can not accept invitations.", opened.Email)
	case opened.NeedsMailedLink:
		return fault.Newf(fault.Forbidden, "This link is for a browser that is signed in as %s. To create the account, use the link in the mail that was sent to that address.", opened.Email)
	}
	return nil
}

func (o *acceptOptions) tell(c *cli, format string, args ...any) {
	if !o.quiet {
		c.say(format, args...)
	}
}
