package vault

import (
	"fmt"
	"maps"
	"slices"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// limitWrite is, where the API takes a limit, the absence of one.
const limitWrite = "write"

// limitsOf reads "environments" of a request about a person with a role: slugs or
// ids of the project's environments, each with "none", "read", or "write" for
// what the role allows. Only viewers and members are limited: an admin could
// take the limits off himself again.
func limitsOf(role api.Role, in map[string]string, environments []store.Environment) (store.Limits, error) {
	const location = "body.environments"
	if len(in) > 0 && role.AtLeast(api.RoleAdmin) {
		return nil, fault.InvalidField(location, fmt.Sprintf("is only for viewers and members: who is %s could change it himself", role))
	}
	limits, named := store.Limits{}, map[string]bool{}
	for _, ref := range slices.Sorted(maps.Keys(in)) {
		i := slices.IndexFunc(environments, func(e store.Environment) bool { return e.Slug == ref || e.ID == ref })
		if i < 0 || named[environments[i].ID] {
			return nil, fault.InvalidField(location, "must name environments of this project, each once")
		}
		id := environments[i].ID
		named[id] = true
		switch limit := in[ref]; limit {
		case string(store.LimitNone), string(store.LimitRead):
			limits[id] = store.Limit(limit)
		case limitWrite:
		default:
			return nil, fault.InvalidField(location, "must say \"none\", \"read\" or \"write\" for each environment")
		}
	}
	return limits, nil
}

// apiLimits are limits by the slugs of environments. Those of environments that
// are not there any more mean nothing and are left out.
func apiLimits(limits store.Limits, environments []store.Environment) map[string]string {
	answer := make(map[string]string, len(limits))
	for _, e := range environments {
		if limit, ok := limits[e.ID]; ok {
			answer[e.Slug] = string(limit)
		}
	}
	return answer
}
