package store

// lookup is a query of something in an environment that is named by a path, for
// one caller. His membership, with its limits, or his token is part of the query:
// for anyone else the row does not exist. The texts differ in what the caller is,
// in whether project and environment are named by slug or by id, and in where they
// are used.
type lookup map[lookupKind]string

type lookupKind struct {
	token, projectID, environmentID bool
	use                             lookupUse
}

// lookupUse is where a lookup is used. A transaction that may change something
// also needs to know which key seals; on PostgreSQL it must lock what it looks
// at.
type lookupUse int

const (
	toRead lookupUse = iota
	toWrite
	toWriteLocked
)

// use is what a query of q is for.
func (q Queries) use() lookupUse {
	switch {
	case !q.locks:
		return toRead
	case q.engine == PostgreSQL:
		return toWriteLocked
	}
	return toWrite
}

const (
	throughMembership = `
FROM projects p
JOIN memberships m ON m.project_id = p.id AND m.user_id = ?
JOIN environments e ON e.project_id = p.id AND ` + notHidden
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

// newLookup spells the texts. After columns come the role that a person has in the
// environment, the access of a service token and, not for reading, the key that
// seals. The arguments are the caller's id, those of join, and the two parts of the
// path.
func newLookup(columns, join string) lookup {
	l := lookup{}
	for i := range 8 {
		for _, use := range []lookupUse{toRead, toWrite, toWriteLocked} {
			kind := lookupKind{token: i&1 != 0, projectID: i&2 != 0, environmentID: i&4 != 0, use: use}
			l[kind] = kind.spell(columns, join)
		}
	}
	return l
}

func (k lookupKind) spell(columns, join string) string {
	rights, from := ", "+roleInPlace+", ''", throughMembership
	if k.token {
		rights, from = ", '', t.access", throughToken
	}
	seals, locks := "", ""
	switch k.use {
	case toWrite:
		seals = ", " + sealingKey
	case toWriteLocked:
		seals, locks = ", "+heldSealingKey, " FOR UPDATE OF e"+lockOfRights[k.token]
	}
	return "SELECT " + columns + rights + seals + from + join +
		"\nWHERE " + idOrSlug("p", k.projectID) + " = ? AND " + idOrSlug("e", k.environmentID) + " = ?" + locks
}

// of is the text for a caller and a path, and the caller's id.
func (l lookup) of(caller Caller, projectRef, environmentRef string, use lookupUse) (text, id string) {
	kind := lookupKind{
		token: caller.TokenID != "", projectID: IsID(projectRef), environmentID: IsID(environmentRef), use: use,
	}
	if id = caller.UserID; kind.token {
		id = caller.TokenID
	}
	return l[kind], id
}

var (
	environmentLookup = newLookup(`e.id, e.project_id, e.slug, e.name, e.position, e.is_protected, e.revision, e.secret_count,
       e.created_at, e.updated_at, p.slug`, "")
	secretLookup = newLookup(`e.project_id, e.slug, e.is_protected, COALESCE(s.version, 0), COALESCE(s.revision, 0),
       COALESCE(s.comment, ''), s.sealed,
       COALESCE(s.key_fingerprint, ''), COALESCE(s.created_at, 0), COALESCE(s.updated_at, 0),
       COALESCE(s.updated_by_kind, ''), COALESCE(s.updated_by_id, ''), COALESCE(s.updated_by_name, '')`, `
LEFT JOIN secrets s ON s.environment_id = e.id AND s.key = ? AND s.sealed IS NOT NULL`)
)
