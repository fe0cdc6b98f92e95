package store

import (
	"context"
	"strings"

	"github.com/uptrace/bun"
)

// UserView is an account as administrators see it. PasswordHash is empty:
// whether there is one is in HasPassword.
type UserView struct {
	User         `bun:",extend"`
	HasPassword  bool
	HasIdentity  bool // an identity provider vouches for him
	SecondFactor bool // confirmed, so asked for
	Projects     int  // that he is a member of
}

// UserFilter narrows a list of accounts; zero fields do not narrow.
type UserFilter struct {
	After     string // address of the last one of the page before
	Text      string // part of the address or of "first last"
	Active    *bool
	Superuser *bool
	Limit     int
}

// userViews selects accounts as administrators see them.
func (q Queries) userViews() *bun.SelectQuery {
	return q.db.NewSelect().Model((*User)(nil)).
		Column("u.id", "u.email", "u.first_name", "u.last_name", "u.is_active", "u.is_superuser", "u.created_at", "u.updated_at", "u.last_login_at").
		ColumnExpr("u.password_hash <> '' AS has_password").
		ColumnExpr("EXISTS (SELECT 1 FROM identities AS iy WHERE iy.user_id = u.id) AS has_identity").
		ColumnExpr("EXISTS (SELECT 1 FROM second_factors AS sf WHERE sf.user_id = u.id AND sf.confirmed_at IS NOT NULL) AS second_factor").
		ColumnExpr("(SELECT COUNT(*) FROM memberships AS m WHERE m.user_id = u.id) AS projects")
}

// Users lists accounts by address. Text is looked for without regard to the case
// of ASCII letters.
func (q Queries) Users(ctx context.Context, f UserFilter) ([]UserView, error) {
	query := q.userViews().Where("u.email > ?", f.After)
	if f.Text != "" {
		pattern := "%" + escapeLike(asciiLower(f.Text)) + "%"
		query = query.Where("(u.email LIKE ? ESCAPE '!' OR ? LIKE ? ESCAPE '!')", pattern, q.asciiLowered("u.first_name || ' ' || u.last_name"), pattern)
	}
	if f.Active != nil {
		query = query.Where("u.is_active = ?", *f.Active)
	}
	if f.Superuser != nil {
		query = query.Where("u.is_superuser = ?", *f.Superuser)
	}
	var rows []UserView
	err := query.OrderExpr("u.email").Limit(int64(f.Limit)).Scan(ctx, &rows)
	return rows, wrap(err)
}

// asciiLowered is an expression for text with the letters of ASCII in lower case
// and all others as they are: what lower() of SQLite does, and that of PostgreSQL
// by the rules of C.
func (q Queries) asciiLowered(expression string) bun.Safe {
	if q.engine == PostgreSQL {
		return bun.Safe(`lower((` + expression + `) COLLATE "C")`)
	}
	return bun.Safe(`lower(` + expression + `)`)
}

func asciiLower(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, text)
}

// escapeLike takes the meaning away from what LIKE would not take literally.
func escapeLike(text string) string {
	return strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(text)
}

// UserViewByID finds an account as administrators see it.
func (q Queries) UserViewByID(ctx context.Context, id string) (*UserView, error) {
	view := new(UserView)
	err := q.userViews().Where("u.id = ?", id).Scan(ctx, view)
	return view, wrap(err)
}

// MembershipView is a membership with the names of its project.
type MembershipView struct {
	ProjectID, Slug, Name, Role string
}

// MembershipsOfUser lists the projects of one account, by slug.
func (q Queries) MembershipsOfUser(ctx context.Context, userID string) ([]MembershipView, error) {
	rows := []MembershipView{}
	err := q.db.NewSelect().TableExpr("memberships AS m").Join("JOIN projects AS p ON p.id = m.project_id").
		ColumnExpr("p.id AS project_id, p.slug, p.name, m.role").Where("m.user_id = ?", userID).
		OrderExpr("p.slug").Scan(ctx, &rows)
	return rows, wrap(err)
}

// LockAdministration makes transactions that administer accounts follow one
// another, on all servers: what one decides on the administrators that there are
// holds until it ends. It must be the first lock of its transaction. SQLite has
// one writer.
func (tx Tx) LockAdministration(ctx context.Context) error {
	if tx.engine == SQLite {
		return nil
	}
	_, err := tx.db.ExecContext(ctx, `SELECT 1 FROM instance WHERE id = 1 FOR NO KEY UPDATE`)
	return wrap(err)
}

// HoldSuperuser makes sure, in the transaction of a change, that an account is
// active and administers the server, and keeps it so until the transaction ends;
// otherwise it is fault.NotFound.
func (tx Tx) HoldSuperuser(ctx context.Context, userID string) error {
	text := `SELECT 1 FROM users u WHERE u.id = ? AND u.is_active AND u.is_superuser`
	if tx.engine == PostgreSQL {
		text += " FOR SHARE OF u"
	}
	var one int
	return tx.hotRow(ctx, []any{&one}, text, userID)
}

// CountOtherSuperusers says how many active administrators there are beside one.
// It holds after LockAdministration.
func (tx Tx) CountOtherSuperusers(ctx context.Context, userID string) (int, error) {
	n, err := tx.db.NewSelect().Model((*User)(nil)).
		Where("u.is_active").Where("u.is_superuser").Where("u.id <> ?", userID).Count(ctx)
	return int(n), wrap(err)
}

// DeleteSecondFactor removes a user's second factor with its recovery codes, also
// one that is being set up; fault.NotFound if he has none.
func (tx Tx) DeleteSecondFactor(ctx context.Context, userID string) error {
	return affected(tx.db.NewDelete().Model((*SecondFactor)(nil)).Where("user_id = ?", userID).Exec(ctx))
}

// CountServiceTokensBy says how many service tokens a user has made that are
// still there.
func (q Queries) CountServiceTokensBy(ctx context.Context, userID string) (int, error) {
	n, err := q.db.NewSelect().Model((*Token)(nil)).
		Where("t.created_by_id = ?", userID).Where("t.project_id IS NOT NULL").Count(ctx)
	return int(n), wrap(err)
}
