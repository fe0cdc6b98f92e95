package vault

import (
	"maps"
	"slices"
	"strings"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// parseLimits reads what somebody with a role is to be left in single
// environments, which are named by slug or id. The environments are those of the
// project.
func parseLimits(role api.Role, wanted map[string]api.EnvironmentAccess, environments []store.Environment) (store.Limits, error) {
	return narrow(store.Limits{}, role, wanted, environments)
}

// narrow changes limits as is wanted for somebody who has this role from now on.
// What limits hold of environments that are gone is forgotten. Of an admin or
// owner nothing can be limited: he could give himself everything back.
func narrow(former store.Limits, role api.Role, wanted map[string]api.EnvironmentAccess, environments []store.Environment) (store.Limits, error) {
	const location = "body.environments"
	changes := make(map[string]api.EnvironmentAccess, len(wanted))
	for ref, access := range wanted {
		if !access.Valid() {
			return nil, fault.InvalidField(location, "must say \"none\", \"read\" or \"write\" for each environment")
		}
		i := slices.IndexFunc(environments, func(e store.Environment) bool { return e.Slug == ref || e.ID == ref })
		if i < 0 || changes[environments[i].ID] != "" {
			return nil, fault.InvalidField(location, "must name environments of this project, each once")
		}
		changes[environments[i].ID] = access
		if access != api.EnvironmentWrite && role.AtLeast(api.RoleAdmin) {
			return nil, fault.InvalidField(location, "can be limited for viewers and members only; "+string(role)+" may do everything in every environment")
		}
	}
	limits := store.Limits{}
	if role.AtLeast(api.RoleAdmin) {
		return limits, nil
	}
	for _, e := range environments {
		limit := former[e.ID]
		switch changes[e.ID] {
		case api.EnvironmentNone:
			limit = store.LimitNone
		case api.EnvironmentRead:
			limit = store.LimitRead
		case api.EnvironmentWrite:
			limit = ""
		}
		if limit != "" {
			limits[e.ID] = limit
		}
	}
	return limits, nil
}

// apiLimits are limits by the slugs of those environments that the caller may know
// of.
func apiLimits(limits store.Limits, environments []store.Environment) map[string]api.EnvironmentAccess {
	bySlug := map[string]api.EnvironmentAccess{}
	for _, e := range environments {
		if limit, limited := limits[e.ID]; limited {
			bySlug[e.Slug] = api.EnvironmentAccess(limit)
		}
	}
	return bySlug
}

// limitsText is limits as the audit trail tells them: "production=none".
func limitsText(limits map[string]api.EnvironmentAccess) string {
	var parts []string
	for _, slug := range slices.Sorted(maps.Keys(limits)) {
		parts = append(parts, slug+"="+string(limits[slug]))
	}
	return strings.Join(parts, " ")
}
