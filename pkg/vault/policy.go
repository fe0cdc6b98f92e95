package vault

import (
	"fmt"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
)

// Action is something that a caller can ask for. Every operation of a Vault and
// every route of the API names one, and the policy table says who may do it.
type Action string

// The actions. Their names stand in the audit trail.
const (
	ActionMeta             Action = "server.meta" // health, readiness, documentation
	ActionOnboardingStatus Action = "onboarding.status"
	ActionOnboard          Action = "onboarding.finish"

	ActionLogin          Action = "auth.login"
	ActionLogout         Action = "auth.logout"
	ActionWhoAmI         Action = "auth.whoami"
	ActionUpdateProfile  Action = "auth.profile.update"
	ActionChangePassword Action = "auth.password.change"
	ActionListSessions   Action = "auth.session.list"
	ActionEndSession     Action = "auth.session.end"
	ActionListOwnTokens  Action = "auth.token.list"
	ActionCreateOwnToken Action = "auth.token.create"
	ActionRevokeOwnToken Action = "auth.token.revoke"

	ActionMakeCLIToken    Action = "auth.cli.token" // at the end of a sign-in of the command line
	ActionApproveCLILogin Action = "auth.cli.approve"
	ActionDenyCLILogin    Action = "auth.cli.deny"
	ActionBeginDevice     Action = "auth.device.begin"
	ActionReadDevice      Action = "auth.device.read" // by the code that a person types
	ActionApproveDevice   Action = "auth.device.approve"
	ActionDenyDevice      Action = "auth.device.deny"

	ActionListIdentities Action = "auth.identity.list" // at identity providers
	ActionLinkIdentity   Action = "auth.identity.link"
	ActionUnlinkIdentity Action = "auth.identity.unlink"

	ActionRequestPasswordReset Action = "auth.password.reset_request"
	ActionConfirmPasswordReset Action = "auth.password.reset"
	ActionReadSecondFactor     Action = "auth.second_factor.read"
	ActionSetUpSecondFactor    Action = "auth.second_factor.set_up"
	ActionConfirmSecondFactor  Action = "auth.second_factor.confirm"
	ActionRenewRecoveryCodes   Action = "auth.second_factor.recovery_codes"
	ActionDisableSecondFactor  Action = "auth.second_factor.disable"

	ActionListProjects  Action = "project.list"
	ActionCreateProject Action = "project.create"
	ActionReadProject   Action = "project.read"
	ActionUpdateProject Action = "project.update"
	ActionDeleteProject Action = "project.delete"

	ActionListEnvironments  Action = "environment.list"
	ActionCreateEnvironment Action = "environment.create"
	ActionReadEnvironment   Action = "environment.read"
	ActionUpdateEnvironment Action = "environment.update"
	ActionDeleteEnvironment Action = "environment.delete"

	ActionListSecrets  Action = "secret.list" // without values
	ActionReadSecret   Action = "secret.read"
	ActionWriteSecret  Action = "secret.write"
	ActionDeleteSecret Action = "secret.delete"

	ActionCompareSecrets Action = "secret.compare" // of several environments: which values are the same

	ActionRestoreEnvironment Action = "environment.restore" // to a former revision
	ActionPromote            Action = "environment.promote" // what another environment has

	ActionListMembers  Action = "member.list"
	ActionUpdateMember Action = "member.update"
	ActionRemoveMember Action = "member.remove"
	ActionLeaveProject Action = "member.leave" // the removal of oneself

	ActionListTokens  Action = "token.list"
	ActionCreateToken Action = "token.create"
	ActionRevokeToken Action = "token.revoke"

	ActionListInvitations  Action = "invitation.list"
	ActionCreateInvitation Action = "invitation.create"
	ActionRevokeInvitation Action = "invitation.revoke"
	ActionResendInvitation Action = "invitation.resend"
	ActionReadInvitation   Action = "invitation.read" // by its link
	ActionAcceptInvitation Action = "invitation.accept"

	ActionReadAudit    Action = "audit.read"     // of a project
	ActionReadAllAudit Action = "audit.read_all" // of the server
	ActionVerifyAudit  Action = "audit.verify"
	ActionExportAudit  Action = "audit.export"
	ActionRestartChain Action = "audit.chain.restart"

	ActionReadStatus Action = "server.status"

	ActionReadMail Action = "mail.read"
	ActionTestMail Action = "mail.test"

	ActionReadSSO   Action = "settings.sso.read"
	ActionUpdateSSO Action = "settings.sso.update"
	ActionResetSSO  Action = "settings.sso.reset"
	ActionTestSSO   Action = "settings.sso.test"

	ActionListUsers          Action = "user.list"
	ActionReadUser           Action = "user.read"
	ActionCreateUser         Action = "user.create"
	ActionUpdateUser         Action = "user.update"
	ActionResetUserPassword  Action = "user.password.reset"
	ActionEndUserSessions    Action = "user.session.end"
	ActionRemoveSecondFactor Action = "user.second_factor.remove"
	ActionListAllProjects    Action = "project.list_all"
	ActionJoinProject        Action = "project.join"

	ActionCreateAdmin   Action = "admin.create"
	ActionResetPassword Action = "admin.reset_password"

	ActionListUsersLocally  Action = "admin.list"
	ActionActivateLocally   Action = "admin.activate"
	ActionDeactivateLocally Action = "admin.deactivate"
	ActionGrantLocally      Action = "admin.grant"
	ActionRevokeLocally     Action = "admin.revoke"

	ActionBeginRotation  Action = "key.rotation.begin" // and going on with it
	ActionVerifyRotation Action = "key.rotation.verify"
	ActionUndoRotation   Action = "key.rotation.undo"
	ActionFinishRotation Action = "key.rotation.finish"
	ActionExportKey      Action = "key.export"

	ActionBackup  Action = "instance.backup"
	ActionRestore Action = "instance.restore"
)

// What happens without anyone asking for it. These stand in the audit
// trail only: nobody can ask for them, so the policy does not know them.
const (
	ActionUseToken    = "token.use"
	ActionExposeToken = "token.expose"
	// ActionThrottle begins to refuse attempts, because too many were wrong.
	ActionThrottle = "auth.throttle"
	// ActionPruneHistory removes former versions that have had their time.
	ActionPruneHistory = "environment.history.prune"
	// ActionBeginChain makes the secret key of the audit trail's chain.
	ActionBeginChain = "audit.chain.begin"
	// ActionEnterKey gives the first encryption key to a database that has recorded
	// something without one.
	ActionEnterKey = "key.enter"
	// ActionPruneAudit removes events that have had their time.
	ActionPruneAudit = "audit.prune"
)

// Rule is one line of the policy table.
type Rule struct {
	// Open admits everyone, signed in or not; who lacks a second factor only
	// WithoutFactor.
	Open bool
	// NoToken refuses tokens of either kind where everyone else is admitted.
	NoToken bool
	// Role is the least role that a person needs in the project; empty for what
	// does not belong to a project and is every person's own.
	Role api.Role
	// ProtectedRole takes the place of Role in a protected environment.
	ProtectedRole api.Role
	// Token is the least access that a service token needs; empty refuses
	// service tokens.
	Token api.Access
	// SessionOnly refuses personal tokens: only who has proved to know the
	// password may do it, so that a stolen token can not make others like itself.
	// (It can make service tokens where its person may, but none that lives
	// longer: see CreateServiceToken.)
	SessionOnly bool
	// Superuser refuses everyone but the administrators of the server. They are
	// not thereby members of any project.
	Superuser bool
	// WithoutFactor admits also who must have a second factor and has none yet.
	WithoutFactor bool
	// LocalOnly refuses everyone but a command on the server itself.
	LocalOnly bool
}

// policy is the one place that says who may do what. What is not in it is
// refused.
var policy = map[Action]Rule{
	ActionMeta:             {Open: true, WithoutFactor: true},
	ActionOnboardingStatus: {Open: true, WithoutFactor: true},
	ActionOnboard:          {Open: true, WithoutFactor: true},
	ActionLogin:            {Open: true, WithoutFactor: true},

	ActionRequestPasswordReset: {Open: true, WithoutFactor: true},
	ActionConfirmPasswordReset: {Open: true, WithoutFactor: true},

	ActionReadSecondFactor:    {SessionOnly: true, WithoutFactor: true},
	ActionSetUpSecondFactor:   {SessionOnly: true, WithoutFactor: true},
	ActionConfirmSecondFactor: {SessionOnly: true, WithoutFactor: true},
	ActionRenewRecoveryCodes:  {SessionOnly: true},
	ActionDisableSecondFactor: {SessionOnly: true},

	ActionLogout:         {SessionOnly: true, WithoutFactor: true},
	ActionWhoAmI:         {Token: api.AccessRead, WithoutFactor: true},
	ActionUpdateProfile:  {},
	ActionChangePassword: {SessionOnly: true},
	ActionListSessions:   {},
	ActionEndSession:     {},
	ActionListOwnTokens:  {},
	ActionCreateOwnToken: {SessionOnly: true},
	ActionRevokeOwnToken: {},

	// The command line begins and ends its sign-in as nobody: its codes say whose it is.
	// A person agrees in between, who has proved more than to hold a token.
	ActionMakeCLIToken:    {Open: true, WithoutFactor: true},
	ActionApproveCLILogin: {SessionOnly: true},
	ActionDenyCLILogin:    {SessionOnly: true},
	ActionBeginDevice:     {Open: true, WithoutFactor: true},
	ActionReadDevice:      {SessionOnly: true},
	ActionApproveDevice:   {SessionOnly: true},
	ActionDenyDevice:      {SessionOnly: true},

	ActionListIdentities: {},
	ActionLinkIdentity:   {SessionOnly: true},
	ActionUnlinkIdentity: {SessionOnly: true},

	ActionListProjects:  {Token: api.AccessRead},
	ActionCreateProject: {},
	ActionReadProject:   {Role: api.RoleViewer, Token: api.AccessRead},
	ActionUpdateProject: {Role: api.RoleAdmin},
	ActionDeleteProject: {Role: api.RoleOwner},

	ActionListEnvironments:  {Role: api.RoleViewer, Token: api.AccessRead},
	ActionCreateEnvironment: {Role: api.RoleMember},
	ActionReadEnvironment:   {Role: api.RoleViewer, Token: api.AccessRead},
	ActionUpdateEnvironment: {Role: api.RoleMember, ProtectedRole: api.RoleAdmin},
	ActionDeleteEnvironment: {Role: api.RoleMember, ProtectedRole: api.RoleAdmin},

	ActionListSecrets:  {Role: api.RoleViewer, Token: api.AccessRead},
	ActionReadSecret:   {Role: api.RoleViewer, Token: api.AccessRead},
	ActionWriteSecret:  {Role: api.RoleMember, ProtectedRole: api.RoleAdmin, Token: api.AccessWrite},
	ActionDeleteSecret: {Role: api.RoleMember, ProtectedRole: api.RoleAdmin, Token: api.AccessWrite},

	ActionCompareSecrets: {Role: api.RoleViewer, Token: api.AccessRead}, // of what he can read

	ActionRestoreEnvironment: {Role: api.RoleMember, ProtectedRole: api.RoleAdmin, Token: api.AccessWrite}, // it writes and deletes
	ActionPromote:            {Role: api.RoleMember, ProtectedRole: api.RoleAdmin, Token: api.AccessWrite}, // and reads the other one

	ActionListMembers:  {Role: api.RoleViewer},
	ActionUpdateMember: {Role: api.RoleAdmin}, // by their ranks: see mayActOn and mayGrant
	ActionRemoveMember: {Role: api.RoleAdmin},
	ActionLeaveProject: {Role: api.RoleViewer},

	ActionListTokens:  {Role: api.RoleAdmin},
	ActionCreateToken: {Role: api.RoleAdmin},
	ActionRevokeToken: {Role: api.RoleAdmin},

	// Inviting is done from the command line as well, with a personal token, and the
	// trail tells with which. To accept takes a session or nobody: a token must not
	// carry its thief into further projects, and a machine is no member.
	ActionListInvitations:  {Role: api.RoleAdmin},
	ActionCreateInvitation: {Role: api.RoleAdmin},
	ActionRevokeInvitation: {Role: api.RoleAdmin},
	ActionResendInvitation: {Role: api.RoleAdmin},
	ActionReadInvitation:   {Open: true, WithoutFactor: true}, // who holds a link
	ActionAcceptInvitation: {Open: true, NoToken: true},

	ActionReadAudit:    {Role: api.RoleAdmin},
	ActionReadAllAudit: {Superuser: true},
	ActionVerifyAudit:  {LocalOnly: true},
	ActionExportAudit:  {LocalOnly: true},
	ActionRestartChain: {LocalOnly: true},

	ActionReadStatus: {Superuser: true},

	ActionReadMail: {Superuser: true},
	ActionTestMail: {Superuser: true},

	// Who names the identity provider can sign in as anybody, and who tries one out
	// has the server call addresses of his choice: a stolen token must not do.
	ActionReadSSO:   {Superuser: true},
	ActionUpdateSSO: {Superuser: true, SessionOnly: true},
	ActionResetSSO:  {Superuser: true, SessionOnly: true},
	ActionTestSSO:   {Superuser: true, SessionOnly: true},

	// Administrators read with tokens; what they change needs a session, so that a
	// stolen token makes nobody an administrator and opens no account or project.
	ActionListUsers:          {Superuser: true},
	ActionReadUser:           {Superuser: true},
	ActionCreateUser:         {Superuser: true, SessionOnly: true},
	ActionUpdateUser:         {Superuser: true, SessionOnly: true},
	ActionResetUserPassword:  {Superuser: true, SessionOnly: true},
	ActionEndUserSessions:    {Superuser: true, SessionOnly: true},
	ActionRemoveSecondFactor: {Superuser: true, SessionOnly: true},
	ActionListAllProjects:    {Superuser: true},
	ActionJoinProject:        {Superuser: true, SessionOnly: true},

	ActionCreateAdmin:   {LocalOnly: true},
	ActionResetPassword: {LocalOnly: true},

	ActionListUsersLocally:  {LocalOnly: true},
	ActionActivateLocally:   {LocalOnly: true},
	ActionDeactivateLocally: {LocalOnly: true},
	ActionGrantLocally:      {LocalOnly: true},
	ActionRevokeLocally:     {LocalOnly: true},

	ActionBeginRotation:  {LocalOnly: true},
	ActionVerifyRotation: {LocalOnly: true},
	ActionUndoRotation:   {LocalOnly: true},
	ActionFinishRotation: {LocalOnly: true},
	ActionExportKey:      {LocalOnly: true},

	ActionBackup:  {LocalOnly: true},
	ActionRestore: {LocalOnly: true},
}

// RuleFor returns the line of the policy table for an action, for documentation
// and for tests that walk it.
func RuleFor(a Action) (Rule, bool) {
	r, ok := policy[a]
	return r, ok
}

// Errors that do not depend on the object asked for.
var (
	errSignIn        = fault.New(fault.Unauthenticated, "Sign in, or send a token as \"Authorization: Bearer hlp_…\".")
	errServiceToken  = fault.New(fault.Forbidden, "A service token may not do this; it is for reading and writing secrets.")
	errSessionOnly   = fault.New(fault.Forbidden, "A token may not do this; sign in with your password.")
	errSuperuser     = fault.New(fault.Forbidden, "Only an administrator of this server may do this.")
	errNotFound      = fault.New(fault.NotFound, "Not found.")
	errNeedsFactor   = fault.New(fault.Forbidden, "This server asks your account for a second factor, and it has none. Sign in with your password and set one up; until then you can do nothing else.")
	errNotDocumented = fault.New(fault.Forbidden, "Nobody may do this.")
)

// admit decides what can be decided without looking at any object: whether this
// kind of caller may ask for the action at all.
func admit(p Principal, a Action) (Rule, error) {
	rule, ok := policy[a]
	switch {
	case !ok:
		return rule, errNotDocumented
	case rule.NoToken && p.token != nil:
		return rule, refuseAction(a, errSessionOnly)
	case rule.Open && (rule.WithoutFactor || !p.lacksFactor):
		return rule, nil
	case rule.LocalOnly != p.local:
		return rule, errNotDocumented
	case p.local:
		return rule, nil
	case p.IsAnonymous():
		return rule, errSignIn
	case p.IsService() && rule.Token == "":
		return rule, refuseAction(a, errServiceToken)
	case rule.Superuser && (p.user == nil || !p.user.IsSuperuser):
		return rule, refuseAction(a, errSuperuser)
	case p.lacksFactor && !rule.WithoutFactor:
		return rule, refuseAction(a, errNeedsFactor)
	case rule.SessionOnly && p.session == nil:
		return rule, refuseAction(a, errSessionOnly)
	}
	return rule, nil
}

// authorize decides on an object that the caller can see, by his role in its
// project or his token's access.
func authorize(p Principal, a Action, rule Rule, role api.Role, protected bool) error {
	if p.IsService() {
		if p.token.access.AtLeast(rule.Token) {
			return nil
		}
		return refuseAction(a, fault.New(fault.Forbidden, "This service token may only read secrets."))
	}
	need := rule.Role
	if protected && rule.ProtectedRole != "" {
		need = rule.ProtectedRole
	}
	if role.AtLeast(need) {
		return nil
	}
	where := ""
	if need != rule.Role {
		where = " in a protected environment"
	}
	return refuseAction(a, fault.New(fault.Forbidden, fmt.Sprintf("Your role here is %s; %s%s needs %s.", role, a, where, need)))
}

// Admit decides what can be decided without looking at any object: whether this
// kind of caller may ask for the action at all. Operations ask it themselves;
// the server asks before it reads what the caller sent.
func Admit(p Principal, a Action) error {
	_, err := admit(p, a)
	return err
}
