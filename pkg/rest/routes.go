package rest

import (
	"net/http"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

// Short names for the table.
const (
	get    = http.MethodGet
	post   = http.MethodPost
	put    = http.MethodPut
	patch  = http.MethodPatch
	remove = http.MethodDelete

	ok        = http.StatusOK
	created   = http.StatusCreated
	noContent = http.StatusNoContent
)

// Paths that several routes share.
const (
	projects     = "/projects/"
	project      = projects + "{project}/"
	environments = project + "environments/"
	environment  = environments + "{environment}/"
	secrets      = environment + "secrets/"
	secret       = secrets + "{key}/"
	tokens       = project + "tokens/"
)

// Routes is the route table: every endpoint of the API.
func Routes() []Route {
	var table []Route
	for _, part := range [][]Route{metaRoutes(), accountRoutes(), proofRoutes(), commandLineRoutes(), identityRoutes(), projectRoutes(), secretRoutes(), historyRoutes(), compareRoutes(), memberRoutes(), invitationRoutes(), tokenRoutes(), auditRoutes(), adminRoutes(), mailRoutes(), ssoAdminRoutes(), userRoutes()} {
		table = append(table, part...)
	}
	return table
}

func metaRoutes() []Route {
	return []Route{
		define(get, "/health/", vault.ActionMeta, ok, "Whether the server runs.", health),
		define(get, "/ready/", vault.ActionMeta, ok, "Whether the server can do its work.", ready),
		define(get, "/onboarding/", vault.ActionOnboardingStatus, ok, "Whether the first run is still to be done.", onboardingStatus),
		define(post, "/onboarding/", vault.ActionOnboard, created, "Finish the first run: create the first administrator.", onboard),
	}
}

func accountRoutes() []Route {
	return []Route{
		define(post, "/auth/login/", vault.ActionLogin, ok, "Sign in with address and password.", login),
		define(post, "/auth/logout/", vault.ActionLogout, noContent, "End the session; 200 with an address if the browser has to end it at the identity provider too.", logout),
		define(get, "/auth/me/", vault.ActionWhoAmI, ok, "Who the caller is.", whoAmI),
		define(patch, "/auth/me/", vault.ActionUpdateProfile, ok, "Change one's own names.", updateProfile),
		define(post, "/auth/password/", vault.ActionChangePassword, noContent, "Change one's own password; ends all other sessions.", changePassword),
		define(get, "/auth/sessions/", vault.ActionListSessions, ok, "Where one is signed in.", listSessions),
		define(remove, "/auth/sessions/{id}/", vault.ActionEndSession, noContent, "End one of one's own sessions.", endSession),
		define(get, "/auth/tokens/", vault.ActionListOwnTokens, ok, "One's own personal tokens.", listOwnTokens),
		define(post, "/auth/tokens/", vault.ActionCreateOwnToken, created, "Create a personal token; its text is in this answer only.", createOwnToken),
		define(remove, "/auth/tokens/{id}/", vault.ActionRevokeOwnToken, noContent, "Revoke a personal token.", revokeOwnToken),
	}
}

func projectRoutes() []Route {
	return []Route{
		define(get, projects, vault.ActionListProjects, ok, "The projects that the caller can see.", listProjects),
		define(post, projects, vault.ActionCreateProject, created, "Create a project with development, staging and production.", createProject),
		define(get, project, vault.ActionReadProject, ok, "One project.", readProject),
		define(patch, project, vault.ActionUpdateProject, ok, "Change a project's name, slug or description.", updateProject),
		define(remove, project, vault.ActionDeleteProject, noContent, "Delete a project with everything in it.", deleteProject),
		define(get, environments, vault.ActionListEnvironments, ok, "The environments of a project, in their order.", listEnvironments),
		define(post, environments, vault.ActionCreateEnvironment, created, "Create an environment.", createEnvironment),
		define(get, environment, vault.ActionReadEnvironment, ok, "One environment.", readEnvironment),
		define(patch, environment, vault.ActionUpdateEnvironment, ok, "Change an environment's name, slug, position or protection.", updateEnvironment),
		define(remove, environment, vault.ActionDeleteEnvironment, noContent, "Delete an environment with its secrets.", deleteEnvironment),
	}
}

func secretRoutes() []Route {
	return []Route{
		define(get, secrets, vault.ActionListSecrets, ok, "All secrets of an environment; with values if asked for.", listSecrets),
		define(post, secrets+"bulk/", vault.ActionWriteSecret, ok, "Change many secrets, all or none.", bulk),
		define(get, secret, vault.ActionReadSecret, ok, "One secret with its value.", readSecret),
		define(put, secret, vault.ActionWriteSecret, ok, "Create a secret (201) or replace its value (200).", putSecret),
		define(patch, secret, vault.ActionWriteSecret, ok, "Rename a secret or edit its comment.", patchSecret),
		define(remove, secret, vault.ActionDeleteSecret, noContent, "Delete a secret.", deleteSecret),
	}
}

func tokenRoutes() []Route {
	return []Route{
		define(get, tokens, vault.ActionListTokens, ok, "The service tokens of a project.", listTokens),
		define(post, tokens, vault.ActionCreateToken, created, "Create a service token; its text is in this answer only.", createToken),
		define(remove, tokens+"{id}/", vault.ActionRevokeToken, noContent, "Revoke a service token.", revokeToken),
	}
}

func adminRoutes() []Route {
	return []Route{
		define(get, "/admin/status/", vault.ActionReadStatus, ok, "The state of the installation: database, keys, running servers, backups.", readStatus),
	}
}

// The references that paths are made of.
type (
	projectRef struct {
		Project string `path:"project" doc:"Slug or id of the project."`
	}
	environmentRef struct {
		Project     string `path:"project" doc:"Slug or id of the project."`
		Environment string `path:"environment" doc:"Slug or id of the environment."`
	}
	secretRef struct {
		Project     string `path:"project" doc:"Slug or id of the project."`
		Environment string `path:"environment" doc:"Slug or id of the environment."`
		Key         string `path:"key" doc:"The secret's key."`
	}
	idRef struct {
		ID string `path:"id" doc:"Id."`
	}
	precondition struct {
		Match vault.Match `header:"If-Match" doc:"Only if the state is still this one: the ETag of a list or secret, or *."`
	}
	withBody[T any] struct {
		Body T `body:"json"`
	}
)

func (r environmentRef) ref() vault.EnvironmentRef {
	return vault.EnvironmentRef{Project: r.Project, Environment: r.Environment}
}

func (r secretRef) ref() vault.SecretRef {
	return vault.SecretRef{EnvironmentRef: vault.EnvironmentRef{Project: r.Project, Environment: r.Environment}, Key: r.Key}
}

func health(*call, nothing) (api.Health, error) { return api.Health{Status: "ok"}, nil }

func ready(c *call, _ nothing) (api.Readiness, error) {
	state, err := c.api.options.Readiness(c)
	if err != nil {
		c.status = fault.Unavailable.Status()
		state.Status, state.Reason = "unavailable", fault.As(classify(err)).Error()
	}
	return state, nil
}

func readStatus(c *call, _ nothing) (api.ServerStatus, error) {
	status, err := c.api.vault.Status(c, c.who)
	status.Version = c.api.options.Version
	return status, err
}

func onboardingStatus(c *call, _ nothing) (api.OnboardingStatus, error) {
	return c.api.options.OnboardingStatus(c)
}

func onboard(c *call, in withBody[api.OnboardRequest]) (api.OnboardResponse, error) {
	return c.api.options.Onboard(c, c.who, in.Body)
}

func login(c *call, in withBody[api.LoginRequest]) (api.Account, error) {
	c.who.Request.BrowserMark = c.api.cookies.Browser(c.r)
	account, token, err := c.api.vault.Login(c, c.who, in.Body)
	if err != nil {
		return account, err
	}
	return account, c.startSession(token)
}

func whoAmI(c *call, _ nothing) (api.Me, error) { return c.api.vault.WhoAmI(c, c.who) }

func updateProfile(c *call, in withBody[api.UpdateMe]) (api.Me, error) {
	return c.api.vault.UpdateProfile(c, c.who, in.Body)
}

func changePassword(c *call, in withBody[api.ChangePassword]) (empty, error) {
	token, err := c.api.vault.ChangePassword(c, c.who, in.Body)
	if err != nil {
		return empty{}, err
	}
	return empty{}, c.startSession(token)
}

func listSessions(c *call, in page) (api.Page[api.Session], error) {
	all, err := c.api.vault.Sessions(c, c.who)
	if err != nil {
		return all, err
	}
	return cut(all, in, func(s api.Session) string { return s.ID })
}

func endSession(c *call, in idRef) (empty, error) {
	return empty{}, c.api.vault.EndSession(c, c.who, in.ID)
}

func listOwnTokens(c *call, in page) (api.Page[api.PersonalToken], error) {
	all, err := c.api.vault.OwnTokens(c, c.who)
	if err != nil {
		return all, err
	}
	return cut(all, in, func(t api.PersonalToken) string { return t.ID })
}

func createOwnToken(c *call, in withBody[api.CreatePersonalToken]) (api.PersonalToken, error) {
	return c.api.vault.CreateOwnToken(c, c.who, in.Body)
}

func revokeOwnToken(c *call, in idRef) (empty, error) {
	return empty{}, c.api.vault.RevokeOwnToken(c, c.who, in.ID)
}

func listProjects(c *call, in page) (api.Page[api.Project], error) {
	return c.api.vault.Projects(c, c.who, in.Cursor, in.Limit)
}

func createProject(c *call, in withBody[api.CreateProject]) (api.Project, error) {
	return c.api.vault.CreateProject(c, c.who, in.Body)
}

func readProject(c *call, in projectRef) (api.Project, error) {
	return c.api.vault.Project(c, c.who, in.Project)
}

func updateProject(c *call, in struct {
	projectRef
	withBody[api.UpdateProject]
},
) (api.Project, error) {
	return c.api.vault.UpdateProject(c, c.who, in.Project, in.Body)
}

func deleteProject(c *call, in projectRef) (empty, error) {
	return empty{}, c.api.vault.DeleteProject(c, c.who, in.Project)
}

func listEnvironments(c *call, in struct {
	projectRef
	page
},
) (api.Page[api.Environment], error) {
	all, err := c.api.vault.Environments(c, c.who, in.Project)
	if err != nil {
		return all, err
	}
	return cut(all, in.page, func(e api.Environment) string { return e.ID })
}

func createEnvironment(c *call, in struct {
	projectRef
	withBody[api.CreateEnvironment]
},
) (api.Environment, error) {
	return c.api.vault.CreateEnvironment(c, c.who, in.Project, in.Body)
}

func readEnvironment(c *call, in environmentRef) (api.Environment, error) {
	return c.api.vault.Environment(c, c.who, in.ref())
}

func updateEnvironment(c *call, in struct {
	environmentRef
	withBody[api.UpdateEnvironment]
},
) (api.Environment, error) {
	return c.api.vault.UpdateEnvironment(c, c.who, in.ref(), in.Body)
}

func deleteEnvironment(c *call, in environmentRef) (empty, error) {
	return empty{}, c.api.vault.DeleteEnvironment(c, c.who, in.ref())
}

func listSecrets(c *call, in struct {
	environmentRef
	moment
	Values bool `query:"values" doc:"true adds the values; this is audited."`
},
) (api.SecretList, error) {
	if err := in.check(in.Values); err != nil {
		return api.SecretList{}, err
	}
	if in.isPast() || in.Deleted {
		return listFormer(c, in.ref(), in.moment, in.Values)
	}
	if c.r.Header.Get("If-None-Match") != "" {
		revision, err := c.api.vault.EnvironmentRevision(c, c.who, in.ref())
		if err != nil || c.tag(revisionTag(revision)) {
			return api.SecretList{}, err
		}
	}
	read := c.api.vault.Secrets
	if in.Values {
		read = c.api.vault.SecretsWithValues
	}
	list, err := read(c, c.who, in.ref())
	if err == nil {
		c.tag(revisionTag(list.Revision))
	}
	return list, err
}

func bulk(c *call, in struct {
	environmentRef
	precondition
	withBody[api.BulkRequest]
},
) (api.BulkResult, error) {
	result, err := c.api.vault.Bulk(c, c.who, in.ref(), in.Body, in.Match)
	if err == nil {
		c.tag(revisionTag(result.Revision))
	}
	return result, err
}

func readSecret(c *call, in struct {
	secretRef
	Version int `query:"version" doc:"A former version, also of a deleted secret."`
},
) (api.Secret, error) {
	if in.Version > 0 {
		return c.api.vault.SecretVersion(c, c.who, in.ref(), int64(in.Version))
	}
	s, err := c.api.vault.Secret(c, c.who, in.ref())
	if err == nil {
		c.tag(versionTag(s))
	}
	return s, err
}

func putSecret(c *call, in struct {
	secretRef
	precondition
	withBody[api.PutSecret]
},
) (api.Secret, error) {
	s, isNew, err := c.api.vault.PutSecret(c, c.who, in.ref(), in.Body, in.Match)
	if isNew {
		c.status = created
	}
	if err == nil {
		c.tag(versionTag(s))
	}
	return s, err
}

func patchSecret(c *call, in struct {
	secretRef
	precondition
	withBody[api.PatchSecret]
},
) (api.Secret, error) {
	s, err := c.api.vault.PatchSecret(c, c.who, in.ref(), in.Body, in.Match)
	if err == nil {
		c.tag(versionTag(s))
	}
	return s, err
}

func deleteSecret(c *call, in struct {
	secretRef
	precondition
},
) (empty, error) {
	return empty{}, c.api.vault.DeleteSecret(c, c.who, in.ref(), in.Match)
}

func listTokens(c *call, in struct {
	projectRef
	page
},
) (api.Page[api.ServiceToken], error) {
	all, err := c.api.vault.ServiceTokens(c, c.who, in.Project)
	if err != nil {
		return all, err
	}
	return cut(all, in.page, func(t api.ServiceToken) string { return t.ID })
}

func createToken(c *call, in struct {
	projectRef
	withBody[api.CreateServiceToken]
},
) (api.ServiceToken, error) {
	return c.api.vault.CreateServiceToken(c, c.who, in.Project, in.Body)
}

func revokeToken(c *call, in struct {
	projectRef
	idRef
},
) (empty, error) {
	return empty{}, c.api.vault.RevokeServiceToken(c, c.who, in.Project, in.ID)
}
