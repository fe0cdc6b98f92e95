package vault

import (
	"context"
	"strconv"
	"unicode/utf8"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// UserQuery narrows a list of accounts; zero fields do not narrow.
type UserQuery struct {
	Text      string // part of the address or of the name
	Active    *bool
	Superuser *bool
	Cursor    string
	Limit     int
}

// filter checks a query and says it to the store.
func (q UserQuery) filter() (store.UserFilter, error) {
	f := store.UserFilter{After: q.Cursor, Text: q.Text, Active: q.Active, Superuser: q.Superuser}
	if q.Text != "" && (utf8.RuneCountInString(q.Text) > api.MaxNameLength || api.CheckName(q.Text) != "") {
		return f, fault.InvalidField("query.q", "must be a part of an address or of a name, at most "+strconv.Itoa(api.MaxNameLength)+" characters")
	}
	if q.Cursor != "" {
		if email, problem := canonicalEmail(q.Cursor); problem != "" || email != q.Cursor {
			return f, badCursor()
		}
	}
	limit, err := pageLimit(q.Limit)
	f.Limit = limit + 1
	return f, err
}

// Users lists the accounts of the server by address. For administrators.
func (v *Vault) Users(ctx context.Context, p Principal, query UserQuery) (api.Page[api.User], error) {
	page := api.Page[api.User]{Results: []api.User{}}
	if _, err := admit(p, ActionListUsers); err != nil {
		return page, err
	}
	return v.users(ctx, query)
}

// users is Users for whoever was admitted.
func (v *Vault) users(ctx context.Context, query UserQuery) (api.Page[api.User], error) {
	page := api.Page[api.User]{Results: []api.User{}}
	f, err := query.filter()
	if err != nil {
		return page, err
	}
	rows, err := v.store.Users(ctx, f)
	if err != nil {
		return page, err
	}
	if len(rows) == f.Limit {
		rows = rows[:f.Limit-1]
		page.Next = &rows[len(rows)-1].Email
	}
	for i := range rows {
		page.Results = append(page.Results, apiUser(&rows[i]))
	}
	return page, nil
}

// User describes one account and where it is a member. For administrators.
func (v *Vault) User(ctx context.Context, p Principal, id string) (api.UserDetail, error) {
	answer := api.UserDetail{Memberships: []api.UserMembership{}}
	if _, err := admit(p, ActionReadUser); err != nil {
		return answer, err
	}
	if !store.IsID(id) {
		return answer, errNotFound
	}
	err := v.store.Snapshot(ctx, func(ctx context.Context, q store.Queries) error {
		view, err := q.UserViewByID(ctx, id)
		if err != nil {
			return err
		}
		answer.User = apiUser(view)
		rows, err := q.MembershipsOfUser(ctx, id)
		for _, m := range rows {
			answer.Memberships = append(answer.Memberships, api.UserMembership{Project: m.ProjectID, Slug: m.Slug, Name: m.Name, Role: api.Role(m.Role)})
		}
		return err
	})
	return answer, err
}

// onUser is administer for a change of one account, whose row is locked.
func (v *Vault) onUser(ctx context.Context, p Principal, a Action, id string, do func(context.Context, store.Tx, *store.User) error) error {
	return v.administer(ctx, p, a, func(ctx context.Context, tx store.Tx) error {
		if !store.IsID(id) {
			return errNotFound
		}
		user, err := tx.UserByID(ctx, id)
		if err != nil {
			return err
		}
		return do(ctx, tx, user)
	})
}

// What a session alone does to no account of its own, also if it is an
// administrator's: it may have been stolen.
var (
	errOwnFactor   = fault.New(fault.Conflict, "This is your own account. Switch its second factor off in your account, with your password and a code.")
	errOwnPassword = fault.New(fault.Conflict, "This is your own account. Change its password in your account, or ask for a link on the sign-in page.")
)

// EndUserSessions ends every session of an account and says how many there were.
// His tokens stay. For administrators.
func (v *Vault) EndUserSessions(ctx context.Context, p Principal, id string) (answer api.EndedSessions, err error) {
	err = v.onUser(ctx, p, ActionEndUserSessions, id, func(ctx context.Context, tx store.Tx, user *store.User) error {
		n, err := tx.DeleteSessionsOfUser(ctx, user.ID)
		if err != nil {
			return err
		}
		answer.Sessions = int(n)
		return v.record(ctx, tx, p, event{
			action: ActionEndUserSessions, target: user.Email, detail: map[string]string{"sessions": strconv.FormatInt(n, 10)},
		})
	})
	return answer, err
}

// RemoveSecondFactor takes the second factor of an account away, for a person who
// has lost it; he is told by mail. For administrators, who are not asked for the
// factor; an account without one is fault.NotFound, and their own
// fault.Conflict: see DisableSecondFactor.
func (v *Vault) RemoveSecondFactor(ctx context.Context, p Principal, id string) error {
	return v.onUser(ctx, p, ActionRemoveSecondFactor, id, func(ctx context.Context, tx store.Tx, user *store.User) error {
		if user.ID == p.user.ID {
			return errOwnFactor
		}
		cleared, err := v.clearFactor(ctx, tx, p.Request, user)
		if err != nil {
			return err
		}
		if !cleared {
			return fault.New(fault.NotFound, "This account has no second factor.")
		}
		return v.record(ctx, tx, p, event{action: ActionRemoveSecondFactor, target: user.Email})
	})
}

func apiUser(view *store.UserView) api.User {
	return api.User{
		ID: view.ID, Email: view.Email, FirstName: view.FirstName, LastName: view.LastName,
		IsActive: view.IsActive, IsSuperuser: view.IsSuperuser, HasPassword: view.HasPassword,
		SSO: view.HasIdentity, SecondFactor: view.SecondFactor,
		CreatedAt: view.CreatedAt.Time(), LastLoginAt: timeOf(view.LastLoginAt), Projects: view.Projects,
	}
}
