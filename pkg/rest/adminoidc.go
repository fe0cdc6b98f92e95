package rest

import (
	"context"
	"strconv"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/vault"
)

// SSOAdmin is what administrators do with the settings of single sign-on. Each
// method asks the policy itself. A change is made of the generation that the match
// names, else of the one that is saved, and reaches all servers.
type SSOAdmin interface {
	ReadSSO(ctx context.Context, who vault.Principal) (api.SSOSettings, error)
	UpdateSSO(ctx context.Context, who vault.Principal, in api.UpdateSSO, match vault.Match) (api.SSOSettings, error)
	ResetSSO(ctx context.Context, who vault.Principal, match vault.Match) error
	TestSSO(ctx context.Context, who vault.Principal, in api.UpdateSSO) (api.SSOTest, error)
}

const ssoSettings = "/admin/oidc/"

func ssoAdminRoutes() []Route {
	return []Route{
		define(get, ssoSettings, vault.ActionReadSSO, ok, "The settings of single sign-on that are in force, and where each comes from.", readSSO),
		define(put, ssoSettings, vault.ActionUpdateSSO, ok, "Change the given settings of single sign-on, on all servers; null removes what was saved.", updateSSO),
		define(remove, ssoSettings, vault.ActionResetSSO, noContent, "Remove all saved settings of single sign-on, on all servers.", resetSSO),
		define(post, ssoSettings+"test/", vault.ActionTestSSO, ok, "Try single sign-on out, with the given settings before the present ones; changes nothing.", testSSO),
	}
}

// generation are the preconditions of a change of settings.
type generation struct {
	Match vault.Match `header:"If-Match" doc:"Only if the saved settings are still of this generation: the ETag."`
}

func readSSO(c *call, _ nothing) (api.SSOSettings, error) {
	settings, err := c.api.options.SSO.ReadSSO(c, c.who)
	if err == nil {
		c.tagGeneration(settings)
	}
	return settings, err
}

func updateSSO(c *call, in struct {
	generation
	withBody[api.UpdateSSO]
},
) (api.SSOSettings, error) {
	settings, err := c.api.options.SSO.UpdateSSO(c, c.who, in.Body, in.Match)
	if err == nil {
		c.tagGeneration(settings)
	}
	return settings, err
}

func resetSSO(c *call, in generation) (empty, error) {
	return empty{}, c.api.options.SSO.ResetSSO(c, c.who, in.Match)
}

func testSSO(c *call, in withBody[api.UpdateSSO]) (api.SSOTest, error) {
	return c.api.options.SSO.TestSSO(c, c.who, in.Body)
}

// tagGeneration sets the entity tag for If-Match. It is none for If-None-Match: what
// is in force can change without what is saved, by the environment of a server.
func (c *call) tagGeneration(s api.SSOSettings) {
	c.w.Header().Set("ETag", `"`+strconv.FormatInt(s.Generation, 10)+`"`)
}
