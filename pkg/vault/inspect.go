package vault

import (
	"context"
	"math"

	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/store"
)

// CheckKeys reports, as fault.Usage, what would keep a vault with this ring,
// which may be nil, from being opened over a migrated database. It changes
// nothing. It is for the server's operator alone.
func CheckKeys(ctx context.Context, st *store.Store, ring *keyring.Ring) error {
	_, err := compareKeysAtOnce(ctx, st, ring, false)
	return err
}

// ValueCheck is the result of CheckValues.
type ValueCheck struct {
	Total   int64           // values that the database holds, of the kinds that were asked for
	Checked int64           // those that were opened
	Damaged []DamagedSecret // those that did not open, up to MaxDamaged
	More    int64           // those beyond MaxDamaged
}

// MaxDamaged is how many damaged values CheckValues names.
const MaxDamaged = 20

// DamagedSecret names a stored value that no key of the ring opens.
type DamagedSecret struct {
	Project     string // slug
	Environment string // slug
	Key         string
	Version     int64
	Fingerprint string // of the key that sealed it, as the database has it
}

// sampleSize is how many values are opened when not all are asked for.
const sampleSize = 10_000

// CheckValues opens stored values to see that it can be done: the newest ten
// thousand, or with all every one and every former version. The values are
// dropped as soon as they are open. It changes nothing, and leaves nothing in
// the audit trail. It is for the server's operator alone.
func CheckValues(ctx context.Context, st *store.Store, ring *keyring.Ring, all bool) (ValueCheck, error) {
	present, former, err := st.CountSealed(ctx)
	if err != nil {
		return ValueCheck{}, err
	}
	check, limit := ValueCheck{Total: present}, int64(sampleSize)
	look := func(v store.SealedValue) error {
		check.look(ring, v)
		return nil
	}
	if all {
		check.Total, limit = present+former, math.MaxInt64
		err = st.EachFormerValue(ctx, look)
	}
	if err == nil {
		err = st.EachPresentValue(ctx, limit, look)
	}
	return check, err
}

func (c *ValueCheck) look(ring *keyring.Ring, v store.SealedValue) {
	c.Checked++
	_, err := ring.Open([]byte(v.Sealed), v.KeyFingerprint)
	switch {
	case err == nil:
	case len(c.Damaged) == MaxDamaged:
		c.More++
	default:
		c.Damaged = append(c.Damaged, DamagedSecret{v.Project, v.Environment, v.Key, v.Version, v.KeyFingerprint})
	}
}
