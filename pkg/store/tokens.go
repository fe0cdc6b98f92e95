package store

import (
	"context"

	"github.com/uptrace/bun"
)

// TokenView is a token, and the person that a personal token stands for.
type TokenView struct {
	Token
	User User // of a personal token
}

const (
	tokenByDigest = `
SELECT t.id, t.name, COALESCE(t.user_id, ''), COALESCE(t.project_id, ''), t.access, t.allowed_cidrs,
       t.expires_at, t.last_used_at, t.exposed_at
FROM tokens t WHERE t.digest = ?`
	tokenUser = `
SELECT u.id, u.email, u.first_name, u.last_name, u.password_hash, u.is_active, u.is_superuser FROM users u WHERE u.id = ?`
)

// TokenByDigest finds the token that has this digest. Expiry, addresses and
// whether the user is active are the caller's to judge. For a service token,
// which is what most requests come with, nothing else is looked up.
func (q Queries) TokenByDigest(ctx context.Context, digest []byte) (*TokenView, error) {
	v := new(TokenView)
	var userID, projectID string
	err := q.hotRow(ctx, []any{
		&v.ID, &v.Name, &userID, &projectID, &v.Access, &v.AllowedCIDRs, &v.ExpiresAt, &v.LastUsedAt, &v.ExposedAt,
	}, tokenByDigest, digest)
	if err != nil {
		return nil, err
	}
	if projectID != "" {
		v.ProjectID = &projectID
		return v, nil
	}
	v.UserID = &userID
	u := &v.User
	err = q.hotRow(ctx, []any{
		&u.ID, &u.Email, &u.FirstName, &u.LastName, &u.PasswordHash, &u.IsActive, &u.IsSuperuser,
	}, tokenUser, userID)
	return v, err
}

// TokensOfUser lists a user's personal tokens, oldest first.
func (q Queries) TokensOfUser(ctx context.Context, userID string) ([]Token, error) {
	var rows []Token
	err := q.db.NewSelect().Model(&rows).Where("t.user_id = ?", userID).
		OrderExpr("t.created_at, t.id").Scan(ctx)
	return rows, wrap(err)
}

// ServiceToken is a service token with the slugs of its environments.
type ServiceToken struct {
	Token
	Environments []string
}

// TokensOfProject lists a project's service tokens, oldest first.
func (q Queries) TokensOfProject(ctx context.Context, projectID string) ([]ServiceToken, error) {
	var rows []Token
	err := q.db.NewSelect().Model(&rows).Where("t.project_id = ?", projectID).
		OrderExpr("t.created_at, t.id").Scan(ctx)
	if err != nil {
		return nil, wrap(err)
	}
	slugs, err := q.environmentsByToken(ctx, projectID)
	if err != nil {
		return nil, err
	}
	tokens := make([]ServiceToken, len(rows))
	for i, row := range rows {
		tokens[i] = ServiceToken{Token: row, Environments: slugs[row.ID]}
	}
	return tokens, nil
}

func (q Queries) environmentsByToken(ctx context.Context, projectID string) (map[string][]string, error) {
	var rows []struct{ TokenID, Slug string }
	err := q.db.NewSelect().TableExpr("token_environments AS te").
		Join("JOIN environments AS e ON e.id = te.environment_id").
		ColumnExpr("te.token_id, e.slug").Where("e.project_id = ?", projectID).
		OrderExpr("e.position, e.slug").Scan(ctx, &rows)
	if err != nil {
		return nil, wrap(err)
	}
	slugs := make(map[string][]string)
	for _, r := range rows {
		slugs[r.TokenID] = append(slugs[r.TokenID], r.Slug)
	}
	return slugs, nil
}

// CountTokens says how many tokens a user or a project has.
func (q Queries) CountTokens(ctx context.Context, userID, projectID string) (int, error) {
	query := q.db.NewSelect().Model((*Token)(nil))
	if userID != "" {
		query = query.Where("t.user_id = ?", userID)
	} else {
		query = query.Where("t.project_id = ?", projectID)
	}
	n, err := query.Count(ctx)
	return int(n), wrap(err)
}

// InsertToken adds a token; a service token with the ids of its environments.
func (tx Tx) InsertToken(ctx context.Context, token *Token, environmentIDs []string) error {
	t := token
	err := tx.insertRows(ctx, insertTokens, []any{
		t.ID, t.Digest, t.Prefix, t.Name, t.UserID, t.ProjectID, t.Access, t.AllowedCIDRs, t.CreatedAt,
		t.CreatedBy.Kind, t.CreatedBy.ID, t.CreatedBy.Name, t.ExpiresAt, t.LastUsedAt, t.LastUsedIP, t.ExposedAt,
	})
	if err != nil {
		return err
	}
	var links []any
	for _, id := range environmentIDs {
		links = append(links, token.ID, id)
	}
	return tx.insertRows(ctx, insertTokenEnvironments, links)
}

var (
	insertTokens = newInsertion("tokens", "id", "digest", "prefix", "name", "user_id", "project_id", "access", "allowed_cidrs",
		"created_at", "created_by_kind", "created_by_id", "created_by_name", "expires_at", "last_used_at", "last_used_ip", "exposed_at")
	insertTokenEnvironments = newInsertion("token_environments", "token_id", "environment_id")
)

// DeleteUserToken revokes a personal token and returns what it was.
func (tx Tx) DeleteUserToken(ctx context.Context, userID, id string) (*Token, error) {
	return tx.deleteToken(ctx, "user_id", userID, id)
}

// DeleteProjectToken revokes a service token and returns what it was.
func (tx Tx) DeleteProjectToken(ctx context.Context, projectID, id string) (*Token, error) {
	return tx.deleteToken(ctx, "project_id", projectID, id)
}

// DeleteTokensOfUser revokes all personal tokens of a user and returns what they
// were, oldest first.
func (tx Tx) DeleteTokensOfUser(ctx context.Context, userID string) ([]Token, error) {
	return tx.deleteTokens(ctx, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Where("t.user_id = ?", userID) })
}

// deleteTokens revokes the tokens that a query finds.
func (tx Tx) deleteTokens(ctx context.Context, those func(*bun.SelectQuery) *bun.SelectQuery) ([]Token, error) {
	var rows []Token
	if err := those(tx.db.NewSelect().Model(&rows)).OrderExpr("t.created_at, t.id").Scan(ctx); err != nil {
		return nil, wrap(err)
	}
	for i := range rows {
		if err := affected(tx.db.NewDelete().Model(&rows[i]).WherePK().Exec(ctx)); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func (tx Tx) deleteToken(ctx context.Context, ownerColumn, ownerID, id string) (*Token, error) {
	token := new(Token)
	err := tx.db.NewSelect().Model(token).
		Where("? = ?", bun.Ident(ownerColumn), ownerID).Where("t.id = ?", id).Scan(ctx)
	if err != nil {
		return nil, wrap(err)
	}
	return token, affected(tx.db.NewDelete().Model(token).WherePK().Exec(ctx))
}

// MarkTokenExposed records the first time that a token was sent in the clear.
func (tx Tx) MarkTokenExposed(ctx context.Context, id string, at Micros) error {
	_, err := tx.db.NewUpdate().Model((*Token)(nil)).Set("exposed_at = ?", at).
		Where("id = ?", id).Where("exposed_at IS NULL").Exec(ctx)
	return wrap(err)
}

// HoldPersonalToken makes sure, in the transaction of a change, that a personal
// token is valid and its user active, and keeps both so until the transaction
// ends; otherwise it is fault.NotFound.
func (tx Tx) HoldPersonalToken(ctx context.Context, id string, now Micros) error {
	return tx.hold(ctx, `SELECT 1 FROM tokens c JOIN users u ON u.id = c.user_id
WHERE c.id = ? AND (c.expires_at IS NULL OR c.expires_at > ?) AND u.is_active`, id, now)
}

// hold runs a query of a credential c and its user u, and locks both rows.
func (tx Tx) hold(ctx context.Context, text string, args ...any) error {
	if tx.locks && tx.engine == PostgreSQL {
		text += " FOR KEY SHARE OF c FOR SHARE OF u"
	}
	var one int
	return tx.hotRow(ctx, []any{&one}, text, args...)
}
