package vault

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/mail"
	"github.com/heartlock/heartlock/pkg/store"
)

// An invitation is opened by a link that ends in a token of 43 base62 characters,
// which are 256 bits. As with other tokens, only its SHA-256 is stored: see
// newToken. It has no mark, because it is no credential: it says to which
// invitation its holder goes, and whoever accepts must be, or become, the account
// of the address that was invited.
const invitationTokenLength = 43

// invitationLife is how long ended invitations are kept, so that who opens an old
// link learns what became of it.
const invitationLife = 90 * 24 * time.Hour

// Why an invitation can not be changed any more.
var (
	errInvitationUsed    = fault.New(fault.Conflict, "This invitation was accepted. To take the access away, remove the member.")
	errInvitationRevoked = fault.New(fault.Gone, "This invitation was revoked. Create a new one.")
)

// Invitations lists the invitations of a project that were neither accepted nor
// revoked, oldest first, without their links.
func (v *Vault) Invitations(ctx context.Context, p Principal, projectRef string) (api.Page[api.Invitation], error) {
	page := api.Page[api.Invitation]{Results: []api.Invitation{}}
	project, err := v.project(ctx, v.store.Queries, p, ActionListInvitations, projectRef)
	if err != nil {
		return page, err
	}
	views, err := v.store.OpenInvitations(ctx, project.ID)
	if err != nil {
		return page, err
	}
	environments, err := v.store.EnvironmentsOf(ctx, p.caller(), project.ID)
	if err != nil {
		return page, err
	}
	for i := range views {
		invitation, err := v.apiInvitation(&views[i], environments)
		if err != nil {
			return page, err
		}
		page.Results = append(page.Results, invitation)
	}
	return page, nil
}

// CreateInvitation invites an address to a project: a mail with a link is queued,
// and a link to pass on is in this answer only. Nobody invites to a higher role than his
// own. Someone who is a member, or was invited already, is fault.Conflict; more
// invitations than the bounds allow are fault.TooManyRequests.
func (v *Vault) CreateInvitation(ctx context.Context, p Principal, projectRef string, in api.CreateInvitation) (answer api.Invitation, err error) {
	email, problem := canonicalEmail(in.Email)
	if problem != "" {
		return answer, fault.InvalidField("body.email", problem)
	}
	if err := checkRole(in.Role); err != nil {
		return answer, err
	}
	err = v.write(ctx, p, func(ctx context.Context, tx store.Tx) error {
		project, err := v.project(ctx, tx.Queries, p, ActionCreateInvitation, projectRef)
		if err != nil {
			return err
		}
		request := struct {
			Project string
			In      api.CreateInvitation
		}{project.ID, in}
		answer, err = once(ctx, v, tx, p, ActionCreateInvitation, request, func() (api.Invitation, error) {
			return v.newInvitation(ctx, tx, p, project, email, in)
		})
		return err
	})
	return answer, err
}

func (v *Vault) newInvitation(ctx context.Context, tx store.Tx, p Principal, project *store.ProjectView, email string, in api.CreateInvitation) (api.Invitation, error) {
	if err := mayInvite(api.Role(project.Role), in.Role); err != nil {
		return api.Invitation{}, refusedIn(refuseAction(ActionCreateInvitation, err), project.ID, "", email)
	}
	environments, err := tx.EnvironmentsOf(ctx, p.caller(), project.ID)
	if err != nil {
		return api.Invitation{}, err
	}
	limits, err := parseLimits(in.Role, in.Environments, environments)
	if err != nil {
		return api.Invitation{}, err
	}
	if err := isNewcomer(ctx, tx, project.ID, email); err != nil {
		return api.Invitation{}, err
	}
	now := v.micros()
	if err := tx.CloseExpiredInvitation(ctx, project.ID, email, now); err != nil {
		return api.Invitation{}, err
	}
	if err := v.withinBounds(ctx, tx, p.user.ID, &store.Invitation{ProjectID: project.ID, Email: email}, now); err != nil {
		return api.Invitation{}, err
	}
	view := newInvitationView(project, now)
	view.Email, view.Role, view.EnvironmentLimits = email, string(in.Role), limits.String()
	return v.sendInvitation(ctx, tx, p, view, environments, ActionCreateInvitation)
}

func newInvitationView(project *store.ProjectView, now store.Micros) *store.InvitationView {
	return &store.InvitationView{
		Invitation:  store.Invitation{ID: newID(), ProjectID: project.ID, CreatedAt: now},
		ProjectSlug: project.Slug, ProjectName: project.Name,
	}
}

// mayInvite decides whether somebody with a role in the project may invite to
// another.
func mayInvite(role, to api.Role) error {
	if err := mayGrant(role, to); err != nil || role.AtLeast(policy[ActionCreateInvitation].Role) {
		return err
	}
	return fault.New(fault.Forbidden, "Only admins and owners of a project invite to it.")
}

// isNewcomer makes sure that an address belongs to no member and is not invited
// already. The project is locked, so both stay so.
func isNewcomer(ctx context.Context, tx store.Tx, projectID, email string) error {
	role, err := tx.RoleByEmail(ctx, projectID, email)
	if err == nil {
		return fault.Newf(fault.Conflict, "%s is a member of this project already, as %s.", email, role)
	}
	if !errors.Is(err, fault.NotFound) {
		return err
	}
	return nil
}

// sendInvitation gives an invitation new links in the caller's name, stores it,
// queues the mail and records it as a. The link in the mail is another than that in
// the answer: see provesMailbox.
func (v *Vault) sendInvitation(ctx context.Context, tx store.Tx, p Principal, view *store.InvitationView, environments []store.Environment, a Action) (api.Invitation, error) {
	now := v.now()
	shown, digest, err := v.invitationLink(p)
	if err != nil {
		return api.Invitation{}, err
	}
	mailed := shown
	view.Digest, view.MailedDigest = digest, nil
	if v.mailer().About().Delivers {
		if mailed, view.MailedDigest, err = v.invitationLink(p); err != nil {
			return api.Invitation{}, err
		}
	}
	view.SentAt, view.ExpiresAt = store.MicrosOf(now), store.MicrosOf(now.Add(v.inviteExpiry))
	view.InvitedBy, view.Inviter, view.InviterRole = p.user.ID, *p.user, ""
	put := tx.RenewInvitation
	if a == ActionCreateInvitation {
		put = tx.InsertInvitation
	}
	if err := put(ctx, &view.Invitation); err != nil {
		return api.Invitation{}, invitedAlready(err)
	}
	err = v.queueMail(ctx, tx, view.Email, mail.Invitation{
		Project: view.ProjectName, Role: view.Role, InvitedBy: inviterText(&view.Inviter), Link: mailed, ExpiresAt: view.ExpiresAt.Time(),
	})
	if err != nil {
		return api.Invitation{}, err
	}
	answer, err := v.apiInvitation(view, environments)
	if err != nil {
		return api.Invitation{}, err
	}
	answer.Link = new(api.NewValue(shown))
	e := invitationEvent(a, &view.Invitation)
	if len(answer.Environments) > 0 {
		e.detail["environments"] = limitsText(answer.Environments)
	}
	return answer, v.record(ctx, tx, p, e)
}

// invitationLink makes a link to an invitation, and the digest of its token.
func (v *Vault) invitationLink(p Principal) (link string, digest []byte, err error) {
	token := randomBase62(invitationTokenLength)
	link, err = v.link(p, "/invitations/"+token+"/")
	return link, digestOf(token), err
}

// invitedAlready words the conflict of two open invitations to one address.
func invitedAlready(err error) error {
	if errors.Is(err, fault.Conflict) {
		return fault.Wrap(fault.Conflict, err, "This address is invited already. Send that invitation again (resend), or revoke it first.")
	}
	return err
}

// inviterText names who invites in a mail: by the name that he has chosen, and by
// the address that the server knows to be his account's.
func inviterText(u *store.User) string {
	if name := personName(u); name != "" {
		return name + " (" + u.Email + ")"
	}
	return u.Email
}

func personName(u *store.User) string { return strings.TrimSpace(u.FirstName + " " + u.LastName) }

// ResendInvitation gives an invitation a new link and a new expiry, and queues
// the mail again, in the caller's name; the former link is worthless at once. The
// link is in this answer only. It takes an invitation whose time is over, too.
func (v *Vault) ResendInvitation(ctx context.Context, p Principal, projectRef, id string) (answer api.Invitation, err error) {
	err = v.write(ctx, p, func(ctx context.Context, tx store.Tx) error {
		view, project, err := v.openInvitation(ctx, tx, p, ActionResendInvitation, projectRef, id)
		if err != nil {
			return err
		}
		answer, err = once(ctx, v, tx, p, ActionResendInvitation, id, func() (api.Invitation, error) {
			if err := mayInvite(api.Role(project.Role), api.Role(view.Role)); err != nil {
				return api.Invitation{}, refusedIn(refuseAction(ActionResendInvitation, err), project.ID, "", view.Email)
			}
			if err := v.withinBounds(ctx, tx, p.user.ID, &view.Invitation, v.micros()); err != nil {
				return api.Invitation{}, err
			}
			environments, err := tx.EnvironmentsOf(ctx, p.caller(), project.ID)
			if err != nil {
				return api.Invitation{}, err
			}
			return v.sendInvitation(ctx, tx, p, view, environments, ActionResendInvitation)
		})
		return err
	})
	return answer, err
}

// RevokeInvitation makes the link of an invitation worthless at once.
func (v *Vault) RevokeInvitation(ctx context.Context, p Principal, projectRef, id string) error {
	return v.write(ctx, p, func(ctx context.Context, tx store.Tx) error {
		view, _, err := v.openInvitation(ctx, tx, p, ActionRevokeInvitation, projectRef, id)
		if err != nil {
			return err
		}
		if err := tx.RevokeInvitation(ctx, view.ID, v.micros()); err != nil {
			return err
		}
		return v.record(ctx, tx, p, invitationEvent(ActionRevokeInvitation, &view.Invitation))
	})
}

// openInvitation finds an invitation of a project that was neither accepted nor
// revoked, for the caller to do a with it. The project is locked.
func (v *Vault) openInvitation(ctx context.Context, tx store.Tx, p Principal, a Action, projectRef, id string) (*store.InvitationView, *store.ProjectView, error) {
	project, err := v.project(ctx, tx.Queries, p, a, projectRef)
	if err != nil {
		return nil, nil, err
	}
	if !store.IsID(id) {
		return nil, nil, errNotFound
	}
	view, err := tx.Invitation(ctx, project.ID, id)
	switch {
	case err != nil:
		return nil, nil, err
	case view.AcceptedAt != nil:
		return nil, nil, errInvitationUsed
	case view.RevokedAt != nil:
		return nil, nil, errInvitationRevoked
	}
	return view, project, nil
}

// invitationEvent tells of an invitation: to which address, and what for.
func invitationEvent(a Action, i *store.Invitation) event {
	detail := map[string]string{"id": i.ID, "role": i.Role}
	if i.ExpiresAt != 0 {
		detail["expires_at"] = i.ExpiresAt.Time().Format(time.RFC3339)
	}
	return event{action: a, projectID: i.ProjectID, target: i.Email, detail: detail}
}

// invitationState is what has become of an invitation by now. One whose time was
// over when it made room for another stays expired.
func invitationState(i *store.Invitation, now store.Micros) api.InvitationState {
	switch {
	case i.AcceptedAt != nil:
		return api.InvitationAccepted
	case i.RevokedAt != nil && *i.RevokedAt < i.ExpiresAt:
		return api.InvitationRevoked
	case i.RevokedAt != nil || i.ExpiresAt <= now:
		return api.InvitationExpired
	}
	return api.InvitationPending
}

func (v *Vault) apiInvitation(view *store.InvitationView, environments []store.Environment) (api.Invitation, error) {
	limits, err := store.ParseLimits(view.EnvironmentLimits)
	return api.Invitation{
		ID: view.ID, Email: view.Email, Role: api.Role(view.Role), Environments: apiLimits(limits, environments),
		State: invitationState(&view.Invitation, v.micros()), InvitedBy: apiInviter(&view.Inviter),
		CreatedAt: view.CreatedAt.Time(), SentAt: view.SentAt.Time(), ExpiresAt: view.ExpiresAt.Time(),
	}, err
}

func apiInviter(u *store.User) api.Inviter { return api.Inviter{Email: u.Email, Name: personName(u)} }
