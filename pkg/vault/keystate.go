package vault

import (
	"context"
	"slices"
	"time"

	"github.com/heartlock/heartlock/pkg/store"
)

// KeyState is what the database knows of its encryption keys.
type KeyState struct {
	Keys     []KnownKey // the oldest first
	Rotation *Rotation  // nil: none is under way
	Servers  []RunningServer
	// LatestBackup is the moment whose state the latest backup holds; nil: there is
	// none.
	LatestBackup *time.Time
}

// KnownKey is an encryption key that the database knows.
type KnownKey struct {
	Fingerprint string
	Seals       bool  // new values are sealed with it
	Values      int64 // that are under it, former versions included
	CreatedAt   time.Time
	RetiredAt   *time.Time // nothing is under it any more
	ExportedAt  *time.Time // when a person was last given it
}

// Rotation is a rotation of the encryption key that is under way.
type Rotation struct {
	From, To   string // fingerprints
	IsUndo     bool   // it takes back one that was not finished
	StartedAt  time.Time
	VerifiedAt *time.Time // when everything was found to be under the new key and to open
}

// Seals is the fingerprint of the key that seals, or "".
func (s KeyState) Seals() string {
	for _, k := range s.Keys {
		if k.Seals {
			return k.Fingerprint
		}
	}
	return ""
}

// Key finds a key by its fingerprint.
func (s KeyState) Key(fingerprint string) (KnownKey, bool) {
	i := slices.IndexFunc(s.Keys, func(k KnownKey) bool { return k.Fingerprint == fingerprint })
	if i < 0 {
		return KnownKey{}, false
	}
	return s.Keys[i], true
}

// Remaining is how many values are not under the key that seals.
func (s KeyState) Remaining() (n int64) {
	for _, k := range s.Keys {
		if !k.Seals {
			n += k.Values
		}
	}
	return n
}

// Lacking lists the running servers that do not have a key.
func (s KeyState) Lacking(fingerprint string) []RunningServer {
	return slices.DeleteFunc(slices.Clone(s.Servers), func(r RunningServer) bool { return slices.Contains(r.KeyFingerprints, fingerprint) })
}

// InspectKeys reads what a migrated database knows of its keys, with the number
// of values under each, which takes a look at every row. A key that values name
// but that the database does not know is in the list too. It changes nothing,
// and is for the server's operator alone.
func InspectKeys(ctx context.Context, st *store.Store) (state KeyState, err error) {
	err = st.Snapshot(ctx, func(ctx context.Context, q store.Queries) error {
		state, err = inspectKeys(ctx, q)
		return err
	})
	return state, err
}

// InspectServers is InspectKeys without the numbers of values, which are all 0:
// cheap enough to be asked every second.
func InspectServers(ctx context.Context, st *store.Store) (state KeyState, err error) {
	err = st.Snapshot(ctx, func(ctx context.Context, q store.Queries) error {
		state, err = knownKeys(ctx, q, nil)
		return err
	})
	return state, err
}

func inspectKeys(ctx context.Context, q store.Queries) (state KeyState, err error) {
	counts, err := q.CountSealedByKey(ctx)
	if err != nil {
		return state, err
	}
	return knownKeys(ctx, q, counts)
}

// knownKeys is inspectKeys with the number of values under each key counted
// before; without them every number is 0.
func knownKeys(ctx context.Context, q store.Queries, counts map[string]int64) (state KeyState, err error) {
	known, err := q.EncryptionKeys(ctx)
	if err != nil {
		return state, err
	}
	for _, k := range known {
		state.Keys = append(state.Keys, KnownKey{
			Fingerprint: k.Fingerprint, Seals: k.IsSealing, Values: counts[k.Fingerprint],
			CreatedAt: k.CreatedAt.Time(), RetiredAt: timeOf(k.RetiredAt), ExportedAt: timeOf(k.ExportedAt),
		})
		delete(counts, k.Fingerprint)
	}
	for fingerprint, n := range counts {
		state.Keys = append(state.Keys, KnownKey{Fingerprint: fingerprint, Values: n})
	}
	under, err := q.KeyRotation(ctx)
	if err != nil {
		return state, err
	}
	if under != nil {
		state.Rotation = &Rotation{
			From: under.FromFingerprint, To: under.ToFingerprint, IsUndo: under.IsUndo,
			StartedAt: under.StartedAt.Time(), VerifiedAt: timeOf(under.VerifiedAt),
		}
	}
	backup, err := q.LatestBackup(ctx)
	if err != nil {
		return state, err
	}
	if backup != nil {
		state.LatestBackup = timeOf(&backup.TakenAt)
	}
	state.Servers, err = runningServers(ctx, q)
	return state, err
}
