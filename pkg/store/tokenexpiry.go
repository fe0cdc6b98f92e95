package store

import (
	"context"
	"errors"

	"github.com/heartlock/heartlock/pkg/fault"
)

// ExpiringToken is a token about whose end somebody is to be told.
type ExpiringToken struct {
	ID          string
	Name        string
	UserID      string // of a personal token
	ProjectID   string // of a service token
	ProjectName string
	CreatedBy   string // id of the user who made it, if it was one
	ExpiresAt   Micros
}

// TokenWarning says when a token's end is to be told: one that lives longer than
// Long in all, Before its end; one that lives longer than Short, ShortBefore its
// end. What lives shorter ends unannounced.
type TokenWarning struct {
	Long, Before, Short, ShortBefore Micros
}

// TokensToWarnOf lists tokens that expire after now, and about whose end nobody
// has been told though it is time: up to limit, the first to expire first.
func (q Queries) TokensToWarnOf(ctx context.Context, now Micros, w TokenWarning, limit int) ([]ExpiringToken, error) {
	return collect(ctx, q, func(t *ExpiringToken) []any {
		return []any{&t.ID, &t.Name, &t.UserID, &t.ProjectID, &t.ProjectName, &t.CreatedBy, &t.ExpiresAt}
	}, `
SELECT t.id, t.name, COALESCE(t.user_id, ''), COALESCE(t.project_id, ''), COALESCE(p.name, ''),
       CASE WHEN t.created_by_kind = 'user' THEN t.created_by_id ELSE '' END, t.expires_at
FROM tokens t LEFT JOIN projects p ON p.id = t.project_id
WHERE t.expires_at > ? AND t.expires_at <= ? AND t.expiry_told_at IS NULL AND (
    t.expires_at - t.created_at > ? OR t.expires_at - t.created_at > ? AND t.expires_at <= ?)
ORDER BY t.expires_at, t.id LIMIT ?`,
		int64(now), int64(now+w.Before), int64(w.Long), int64(w.Short), int64(now+w.ShortBefore), limit)
}

// MarkTokenWarned notes that the end of a token has been told. It reports whether
// it is the first to do so.
func (tx Tx) MarkTokenWarned(ctx context.Context, id string, at Micros) (bool, error) {
	err := affected(tx.hotExec(ctx, `UPDATE tokens SET expiry_told_at = ? WHERE id = ? AND expiry_told_at IS NULL`, int64(at), id))
	if errors.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil, err
}

// AddressesForToken are those of the active people to be told about a token: its
// user; who made it, if he is a member of its project; else the project's owners.
func (q Queries) AddressesForToken(ctx context.Context, t ExpiringToken) ([]string, error) {
	address := func(email *string) []any { return []any{email} }
	if t.UserID != "" {
		return collect(ctx, q, address, `SELECT u.email FROM users u WHERE u.id = ? AND u.is_active`, t.UserID)
	}
	const members = `SELECT u.email FROM memberships m JOIN users u ON u.id = m.user_id WHERE m.project_id = ? AND u.is_active AND `
	made, err := collect(ctx, q, address, members+`u.id = ?`, t.ProjectID, t.CreatedBy)
	if err != nil || len(made) > 0 {
		return made, err
	}
	return collect(ctx, q, address, members+`m.role = 'owner' ORDER BY u.email`, t.ProjectID)
}
