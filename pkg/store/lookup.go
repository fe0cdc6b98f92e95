package store

// lookup is a query of something in an environment that is named by a path, for
// one caller. His membership or token is part of the query: for anyone else the
// row does not exist. The texts differ in what the caller is, in whether project
// and environment are named by slug or by id, and in whether the environment's
// row is locked.
type lookup map[lookupKind]string

type lookupKind struct{ token, projectID, environmentID, locked bool }

const (
	throughMembership = `
FROM projects p
JOIN memberships m ON m.project_id = p.id AND m.user_id = ?
JOIN environments e ON e.project_id = p.id`
	throughToken = `
FROM projects p
JOIN tokens t ON t.project_id = p.id AND t.id = ?
JOIN environments e ON e.project_id = p.id
JOIN token_environments te ON te.environment_id = e.id AND te.token_id = t.id`
)

// lockOfRights holds what the caller's rights come from, by whether he is a
// token. Without it, a statement that waits for the environment would go on with
// the rights that he had when it began to wait.
var lockOfRights = map[bool]string{false: " FOR SHARE OF m", true: " FOR KEY SHARE OF t, te"}

// newLookup spells the texts. After columns come the role of a person and the
// access of a service token. The arguments are the caller's id, those of join,
// and the two parts of the path.
func newLookup(columns, join string) lookup {
	l := lookup{}
	for i := range 16 {
		kind := lookupKind{token: i&1 != 0, projectID: i&2 != 0, environmentID: i&4 != 0, locked: i&8 != 0}
		text := "SELECT " + columns + ", m.role, ''" + throughMembership
		if kind.token {
			text = "SELECT " + columns + ", '', t.access" + throughToken
		}
		text += join + "\nWHERE " + idOrSlug("p", kind.projectID) + " = ? AND " + idOrSlug("e", kind.environmentID) + " = ?"
		if kind.locked {
			text += " FOR UPDATE OF e" + lockOfRights[kind.token]
		}
		l[kind] = text
	}
	return l
}

// of is the text for a caller and a path, and the caller's id.
func (l lookup) of(caller Caller, projectRef, environmentRef string, locked bool) (text, id string) {
	kind := lookupKind{
		token: caller.TokenID != "", projectID: IsID(projectRef), environmentID: IsID(environmentRef), locked: locked,
	}
	if id = caller.UserID; kind.token {
		id = caller.TokenID
	}
	return l[kind], id
}

var (
	environmentLookup = newLookup(`e.id, e.project_id, e.slug, e.name, e.position, e.is_protected, e.revision, e.secret_count,
       e.created_at, e.updated_at, p.slug`, "")
	secretLookup = newLookup(`e.project_id, e.slug, e.is_protected, COALESCE(s.version, 0), COALESCE(s.comment, ''), s.sealed,
       COALESCE(s.key_fingerprint, ''), COALESCE(s.created_at, 0), COALESCE(s.updated_at, 0),
       COALESCE(s.updated_by_kind, ''), COALESCE(s.updated_by_id, ''), COALESCE(s.updated_by_name, '')`, `
LEFT JOIN secrets s ON s.environment_id = e.id AND s.key = ? AND s.sealed IS NOT NULL`)
)
