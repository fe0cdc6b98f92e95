package store

import (
	"fmt"
	"slices"
	"strings"

	"github.com/heartlock/heartlock/pkg/fault"
)

// Limit is what is left to a member of a project in one environment.
type Limit string

// The limits. Where there is none, a member may do what his role allows.
const (
	LimitNone Limit = "none" // the environment does not exist for him
	LimitRead Limit = "read" // he is a viewer in it
)

// Limits are the limits of one member, by the ids of the environments. They are
// a column of his membership, so that the lock on that row holds all his rights.
// Every query of an environment for a person applies them; see throughMembership.
type Limits map[string]Limit

// ParseLimits reads the text of a column environment_limits, such as
// "none:<id> read:<id>"; the empty text is no limits. A text that Limits.String
// does not write is an error.
func ParseLimits(text string) (Limits, error) {
	limits := Limits{}
	for entry := range strings.FieldsSeq(text) {
		limit, id, _ := strings.Cut(entry, ":")
		if l := Limit(limit); !IsID(id) || l != LimitNone && l != LimitRead {
			return nil, fault.Wrap(fault.Internal, fmt.Errorf("environment_limits has the entry %q", entry), "the limits of a membership can not be read")
		}
		limits[id] = Limit(limit)
	}
	return limits, nil
}

// String is the text for the column, in the order of the ids.
func (l Limits) String() string {
	entries := make([]string, 0, len(l))
	for id, limit := range l {
		entries = append(entries, string(limit)+":"+id)
	}
	slices.SortFunc(entries, func(a, b string) int {
		return strings.Compare(a[strings.Index(a, ":"):], b[strings.Index(b, ":"):])
	})
	return strings.Join(entries, " ")
}

// How queries apply the limits of a membership m to an environment e. An id has
// no character that means something to LIKE.
const (
	notHidden   = `m.environment_limits NOT LIKE '%none:' || e.id || '%'`
	roleInPlace = `CASE WHEN m.environment_limits LIKE '%read:' || e.id || '%' THEN 'viewer' ELSE m.role END`
)
