package vault

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// Bounds on tokens.
const (
	maxTokensEach = 500 // of a person, of a project
	maxCIDRs      = 50
)

// OwnTokens lists the caller's personal tokens, without their text.
func (v *Vault) OwnTokens(ctx context.Context, p Principal) (api.Page[api.PersonalToken], error) {
	page := api.Page[api.PersonalToken]{Results: []api.PersonalToken{}}
	if _, err := admit(p, ActionListOwnTokens); err != nil {
		return page, err
	}
	rows, err := v.store.TokensOfUser(ctx, p.user.ID)
	for i := range rows {
		page.Results = append(page.Results, apiPersonalToken(&rows[i]))
	}
	return page, err
}

// CreateOwnToken makes a personal token. Its text is in this answer only.
func (v *Vault) CreateOwnToken(ctx context.Context, p Principal, in api.CreatePersonalToken) (api.PersonalToken, error) {
	if _, err := admit(p, ActionCreateOwnToken); err != nil {
		return api.PersonalToken{}, err
	}
	return v.createPersonalToken(ctx, p, p.user.ID, in)
}

func (v *Vault) createPersonalToken(ctx context.Context, p Principal, userID string, in api.CreatePersonalToken) (answer api.PersonalToken, err error) {
	cleanNames(&in.Name)
	if err := v.checkNewToken(in.Name, in.ExpiresAt); err != nil {
		return answer, err
	}
	err = v.write(ctx, p, func(ctx context.Context, tx store.Tx) (err error) {
		answer, err = once(ctx, v, tx, p, ActionCreateOwnToken, in, func() (api.PersonalToken, error) {
			text := newToken()
			row := v.tokenRow(p, text, in.Name, in.ExpiresAt)
			row.UserID = &userID
			created := apiPersonalToken(row)
			created.Token = &text
			return created, v.insertToken(ctx, tx, p, row, nil, event{action: ActionCreateOwnToken, target: in.Name})
		})
		return err
	})
	return answer, err
}

// revokeAllOwn makes all personal tokens of a person worthless, in a transaction that
// has locked his row.
func (v *Vault) revokeAllOwn(ctx context.Context, tx store.Tx, p Principal, userID string) error {
	rows, err := tx.DeleteTokensOfUser(ctx, userID)
	if err != nil {
		return err
	}
	for i := range rows {
		e := event{action: ActionRevokeOwnToken, target: rows[i].Name, detail: map[string]string{"id": rows[i].ID}}
		if err := v.record(ctx, tx, p, e); err != nil {
			return err
		}
	}
	return nil
}

// RevokeOwnToken makes one of the caller's personal tokens worthless at once.
func (v *Vault) RevokeOwnToken(ctx context.Context, p Principal, id string) error {
	if _, err := admit(p, ActionRevokeOwnToken); err != nil {
		return err
	}
	if !store.IsID(id) {
		return errNotFound
	}
	return v.write(ctx, p, func(ctx context.Context, tx store.Tx) error {
		row, err := tx.DeleteUserToken(ctx, p.user.ID, id)
		if err != nil {
			return err
		}
		return v.record(ctx, tx, p, event{action: ActionRevokeOwnToken, target: row.Name, detail: map[string]string{"id": row.ID}})
	})
}

// ServiceTokens lists the service tokens of a project, without their text.
func (v *Vault) ServiceTokens(ctx context.Context, p Principal, projectRef string) (api.Page[api.ServiceToken], error) {
	page := api.Page[api.ServiceToken]{Results: []api.ServiceToken{}}
	project, err := v.project(ctx, v.store.Queries, p, ActionListTokens, projectRef)
	if err != nil {
		return page, err
	}
	rows, err := v.store.TokensOfProject(ctx, project.ID)
	for i := range rows {
		page.Results = append(page.Results, apiServiceToken(&rows[i].Token, rows[i].Environments))
	}
	return page, err
}

// CreateServiceToken makes a service token for some environments of a project.
// Its text is in this answer only.
func (v *Vault) CreateServiceToken(ctx context.Context, p Principal, projectRef string, in api.CreateServiceToken) (answer api.ServiceToken, err error) {
	cleanNames(&in.Name)
	if err := v.checkNewServiceToken(in); err != nil {
		return answer, err
	}
	if err := outlives(p, in.ExpiresAt); err != nil {
		return answer, err
	}
	cidrs, err := canonicalCIDRs(in.AllowedCIDRs)
	if err != nil {
		return answer, err
	}
	err = v.write(ctx, p, func(ctx context.Context, tx store.Tx) (err error) {
		project, err := v.project(ctx, tx.Queries, p, ActionCreateToken, projectRef)
		if err != nil {
			return err
		}
		request := struct {
			Project string
			In      api.CreateServiceToken
		}{project.ID, in}
		answer, err = once(ctx, v, tx, p, ActionCreateToken, request, func() (api.ServiceToken, error) {
			return v.newServiceToken(ctx, tx, p, project, in, cidrs)
		})
		return err
	})
	return answer, err
}

// outlives refuses a service token that would live longer than the personal
// token it is made with: else who steals that for a day has access for ever.
func outlives(p Principal, expires *time.Time) error {
	if p.token == nil || p.token.expiresAt == nil {
		return nil
	}
	if end := p.token.expiresAt.Time(); expires == nil || expires.After(end) {
		return fault.InvalidField("body.expires_at", "must not be later than "+end.Format(time.RFC3339)+", when the token that you are using expires")
	}
	return nil
}

func (v *Vault) newServiceToken(ctx context.Context, tx store.Tx, p Principal, project *store.ProjectView, in api.CreateServiceToken, cidrs []string) (api.ServiceToken, error) {
	environments, err := tx.EnvironmentsOf(ctx, p.caller(), project.ID)
	if err != nil {
		return api.ServiceToken{}, err
	}
	var ids, slugs []string
	for _, e := range environments {
		if slices.Contains(in.Environments, e.Slug) || slices.Contains(in.Environments, e.ID) {
			ids, slugs = append(ids, e.ID), append(slugs, e.Slug)
		}
	}
	if len(ids) < len(in.Environments) {
		return api.ServiceToken{}, fault.InvalidField("body.environments", "must name environments of this project, each once")
	}
	text := newToken()
	row := v.tokenRow(p, text, in.Name, in.ExpiresAt)
	row.ProjectID, row.Access, row.AllowedCIDRs = &project.ID, string(in.Access), strings.Join(cidrs, ",")
	created := apiServiceToken(row, slugs)
	created.Token = &text
	return created, v.insertToken(ctx, tx, p, row, ids, event{
		action: ActionCreateToken, projectID: project.ID, target: in.Name,
		detail: serviceTokenDetail(row, slugs),
	})
}

// insertToken adds a token within the bound on their number.
func (v *Vault) insertToken(ctx context.Context, tx store.Tx, p Principal, row *store.Token, environmentIDs []string, e event) error {
	var userID, projectID string
	assign(&userID, row.UserID)
	assign(&projectID, row.ProjectID)
	n, err := tx.CountTokens(ctx, userID, projectID)
	if err != nil {
		return err
	}
	if n >= maxTokensEach {
		return fault.New(fault.Conflict, fmt.Sprintf("There are %d tokens already. Revoke those that nobody uses.", n))
	}
	if err := tx.InsertToken(ctx, row, environmentIDs); err != nil {
		return err
	}
	e.detail = with(e.detail, "id", row.ID)
	if row.ExpiresAt != nil {
		e.detail["expires_at"] = row.ExpiresAt.Time().Format(time.RFC3339)
	}
	return v.record(ctx, tx, p, e)
}

func serviceTokenDetail(row *store.Token, environments []string) map[string]string {
	detail := map[string]string{"environments": strings.Join(environments, ","), "access": row.Access}
	if row.AllowedCIDRs != "" {
		detail["allowed_cidrs"] = row.AllowedCIDRs
	}
	return detail
}

// RevokeServiceToken makes a service token worthless at once.
func (v *Vault) RevokeServiceToken(ctx context.Context, p Principal, projectRef, id string) error {
	return v.write(ctx, p, func(ctx context.Context, tx store.Tx) error {
		project, err := v.project(ctx, tx.Queries, p, ActionRevokeToken, projectRef)
		if err != nil {
			return err
		}
		if !store.IsID(id) {
			return errNotFound
		}
		row, err := tx.DeleteProjectToken(ctx, project.ID, id)
		if err != nil {
			return err
		}
		return v.record(ctx, tx, p, event{
			action: ActionRevokeToken, projectID: project.ID, target: row.Name, detail: map[string]string{"id": row.ID},
		})
	})
}

func (v *Vault) tokenRow(p Principal, text api.Value, name string, expires *time.Time) *store.Token {
	return &store.Token{
		ID: newID(), Digest: digestOf(text.Reveal()), Prefix: text.Reveal()[:tokenPrefixShown], Name: name,
		CreatedAt: v.micros(), CreatedBy: storedActor(p.Actor()), ExpiresAt: store.OptionalMicros(expires),
	}
}

func (v *Vault) checkNewToken(name string, expires *time.Time) error {
	if problem := api.CheckName(name); problem != "" {
		return fault.InvalidField("body.name", problem)
	}
	if expires != nil && !expires.After(v.now()) {
		return fault.InvalidField("body.expires_at", "must be in the future")
	}
	return nil
}

func (v *Vault) checkNewServiceToken(in api.CreateServiceToken) error {
	if err := v.checkNewToken(in.Name, in.ExpiresAt); err != nil {
		return err
	}
	switch {
	case !in.Access.Valid():
		return fault.InvalidField("body.access", "must be \"read\" or \"write\"")
	case len(in.Environments) == 0:
		return fault.InvalidField("body.environments", "must name at least one environment")
	case len(in.Environments) > api.MaxEnvironments:
		return fault.InvalidField("body.environments", "names too many environments")
	}
	return nil
}

// canonicalCIDRs parses networks strictly: a single address stands for itself,
// host bits must be zero.
func canonicalCIDRs(texts []string) ([]string, error) {
	const location = "body.allowed_cidrs"
	if len(texts) > maxCIDRs {
		return nil, fault.InvalidField(location, fmt.Sprintf("must have at most %d networks", maxCIDRs))
	}
	networks := make([]string, len(texts))
	for i, text := range texts {
		network, err := netip.ParsePrefix(text)
		if address, addressErr := netip.ParseAddr(text); addressErr == nil && address.Zone() == "" {
			network, err = netip.PrefixFrom(address.Unmap(), address.Unmap().BitLen()), nil
		}
		if err != nil || network != network.Masked() || network.Addr().Is4In6() {
			return nil, fault.InvalidField(fmt.Sprintf("%s.%d", location, i), "must be a network such as 10.0.0.0/8 or 2001:db8::/32, without host bits")
		}
		networks[i] = network.String()
	}
	return networks, nil
}

func apiPersonalToken(t *store.Token) api.PersonalToken {
	return api.PersonalToken{
		ID: t.ID, Name: t.Name, Prefix: t.Prefix, CreatedAt: t.CreatedAt.Time(),
		ExpiresAt: timeOf(t.ExpiresAt), LastUsedAt: timeOf(t.LastUsedAt), ExposedAt: timeOf(t.ExposedAt),
	}
}

func apiServiceToken(t *store.Token, environments []string) api.ServiceToken {
	answer := api.ServiceToken{
		ID: t.ID, Name: t.Name, Prefix: t.Prefix, Environments: environments, Access: api.Access(t.Access),
		CreatedAt: t.CreatedAt.Time(), CreatedBy: apiActor(t.CreatedBy), ExpiresAt: timeOf(t.ExpiresAt),
		LastUsedAt: timeOf(t.LastUsedAt), LastUsedIP: t.LastUsedIP, ExposedAt: timeOf(t.ExposedAt),
	}
	if t.AllowedCIDRs != "" {
		answer.AllowedCIDRs = strings.Split(t.AllowedCIDRs, ",")
	}
	return answer
}
