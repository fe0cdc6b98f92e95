package web

import (
	"strings"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/vault"
)

// words say what an action is: did, of one that was done, and to, of one that was
// tried. {target|a secret} is what was acted on, or, where nothing is named, the text
// behind the bar.
type words struct{ did, to string }

// auditWords are the words of every action that can stand in an audit trail.
var auditWords = map[vault.Action]words{
	vault.ActionMeta:             {"asked how the server is", "ask how the server is"},
	vault.ActionOnboardingStatus: {"asked whether the first run is open", "ask whether the first run is open"},
	vault.ActionOnboard:          {"set this server up as {target|an administrator}", "set this server up"},

	vault.ActionLogin:          {"signed in", "sign in as {target|somebody}"},
	vault.ActionLogout:         {"signed out", "sign out"},
	vault.ActionWhoAmI:         {"asked who is signed in", "ask who is signed in"},
	vault.ActionUpdateProfile:  {"changed the name of the account", "change the name of the account"},
	vault.ActionChangePassword: {"changed the password", "change the password"},
	vault.ActionListSessions:   {"listed the sessions", "list the sessions"},
	vault.ActionEndSession:     {"ended a session", "end a session"},
	vault.ActionListOwnTokens:  {"listed the personal tokens", "list the personal tokens"},
	vault.ActionCreateOwnToken: {"created the personal token {target|}", "create a personal token {target|}"},
	vault.ActionRevokeOwnToken: {"revoked the personal token {target|}", "revoke a personal token {target|}"},

	vault.ActionMakeCLIToken:    {"signed {target|a command line} in", "sign {target|a command line} in"},
	vault.ActionApproveCLILogin: {"let {target|a command line} sign in", "let {target|a command line} sign in"},
	vault.ActionDenyCLILogin:    {"turned away the sign-in of {target|a command line}", "turn away the sign-in of {target|a command line}"},
	vault.ActionBeginDevice:     {"asked for a code to sign a device in", "ask for a code to sign a device in"},
	vault.ActionReadDevice:      {"looked at the code of a device", "look at the code of a device"},
	vault.ActionApproveDevice:   {"let {target|a device} sign in", "let {target|a device} sign in"},
	vault.ActionDenyDevice:      {"turned away the sign-in of {target|a device}", "turn away the sign-in of {target|a device}"},

	vault.ActionListIdentities: {"listed the linked sign-ins", "list the linked sign-ins"},
	vault.ActionLinkIdentity:   {"linked single sign-on to {target|the account}", "link single sign-on to {target|the account}"},
	vault.ActionUnlinkIdentity: {"unlinked single sign-on from {target|the account}", "unlink single sign-on from {target|the account}"},

	vault.ActionRequestPasswordReset: {"asked for a new password for {target|an account}", "ask for a new password for {target|an account}"},
	vault.ActionConfirmPasswordReset: {"set a new password for {target|an account} by mail", "set a new password for {target|an account} by mail"},
	vault.ActionReadSecondFactor:     {"looked at the second factor", "look at the second factor"},
	vault.ActionSetUpSecondFactor:    {"began to set a second factor up", "set a second factor up"},
	vault.ActionConfirmSecondFactor:  {"switched the second factor on", "switch the second factor on"},
	vault.ActionRenewRecoveryCodes:   {"made new recovery codes", "make new recovery codes"},
	vault.ActionDisableSecondFactor:  {"switched the second factor off", "switch the second factor off"},

	vault.ActionListProjects:  {"listed the projects", "list the projects"},
	vault.ActionCreateProject: {"created the project {target|}", "create a project"},
	vault.ActionReadProject:   {"looked at the project {target|}", "look at a project {target|}"},
	vault.ActionUpdateProject: {"changed the project {target|}", "change a project {target|}"},
	vault.ActionDeleteProject: {"deleted the project {target|}", "delete a project {target|}"},

	vault.ActionListEnvironments:   {"listed the environments", "list the environments"},
	vault.ActionCreateEnvironment:  {"created the environment {target|}", "create an environment {target|}"},
	vault.ActionReadEnvironment:    {"looked at the environment {target|}", "look at an environment {target|}"},
	vault.ActionUpdateEnvironment:  {"changed the environment {target|}", "change an environment {target|}"},
	vault.ActionDeleteEnvironment:  {"deleted the environment {target|} with its secrets", "delete an environment {target|}"},
	vault.ActionRestoreEnvironment: {"restored a former state of {target|an environment}", "restore a former state of {target|an environment}"},
	vault.ActionPromote:            {"promoted secrets to {target|an environment}", "promote secrets to {target|an environment}"},
	vault.ActionPruneHistory:       {"removed old versions from the history of {target|an environment}", "remove old versions from the history of {target|an environment}"},

	vault.ActionListSecrets:    {"listed the secrets", "list the secrets"},
	vault.ActionReadSecret:     {"read {target|a secret}", "read {target|a secret}"},
	vault.ActionWriteSecret:    {"wrote {target|a secret}", "write {target|a secret}"},
	actionSecretCreated:        {"created {target|a secret}", "create {target|a secret}"},
	actionSecretUpdated:        {"changed {target|a secret}", "change {target|a secret}"},
	vault.ActionDeleteSecret:   {"deleted {target|a secret}", "delete {target|a secret}"},
	vault.ActionCompareSecrets: {"compared secrets with {target|another environment}", "compare secrets with {target|another environment}"},

	vault.ActionListMembers:  {"listed the people", "list the people"},
	vault.ActionUpdateMember: {"changed what {target|a member} may do", "change what {target|a member} may do"},
	vault.ActionRemoveMember: {"removed {target|a member} from the project", "remove {target|a member} from the project"},
	vault.ActionLeaveProject: {"left the project", "leave the project"},

	vault.ActionListTokens:  {"listed the service tokens", "list the service tokens"},
	vault.ActionCreateToken: {"created the service token {target|}", "create a service token {target|}"},
	vault.ActionRevokeToken: {"revoked the service token {target|}", "revoke a service token {target|}"},
	vault.ActionUseToken:    {"used the token {target|}", "use a token {target|}"},
	vault.ActionExposeToken: {"sent the token {target|} over plain http", "send a token {target|} over plain http"},

	vault.ActionListInvitations:  {"listed the invitations", "list the invitations"},
	vault.ActionCreateInvitation: {"invited {target|somebody}", "invite {target|somebody}"},
	vault.ActionRevokeInvitation: {"revoked the invitation of {target|somebody}", "revoke the invitation of {target|somebody}"},
	vault.ActionResendInvitation: {"invited {target|somebody} again", "invite {target|somebody} again"},
	vault.ActionReadInvitation:   {"opened an invitation", "open an invitation"},
	vault.ActionAcceptInvitation: {"accepted the invitation of {target|somebody}", "accept the invitation of {target|somebody}"},

	vault.ActionReadAudit:    {"read the audit trail", "read the audit trail"},
	vault.ActionReadAllAudit: {"read the audit trail of the server", "read the audit trail of the server"},
	vault.ActionVerifyAudit:  {"verified the audit trail", "verify the audit trail"},
	vault.ActionExportAudit:  {"exported the audit trail", "export the audit trail"},
	vault.ActionRestartChain: {"began the audit trail's chain anew", "begin the audit trail's chain anew"},
	vault.ActionBeginChain:   {"began the audit trail's chain", "begin the audit trail's chain"},
	vault.ActionPruneAudit:   {"removed old events from the audit trail", "remove old events from the audit trail"},

	vault.ActionThrottle: {"made too many attempts at {target|an account} and was blocked for a while", "try again and again at {target|an account}"},

	vault.ActionReadStatus: {"looked at the state of the server", "look at the state of the server"},
	vault.ActionReadMail:   {"looked at the outgoing mail", "look at the outgoing mail"},
	vault.ActionTestMail:   {"sent a test mail to {target|an address}", "send a test mail to {target|an address}"},
	vault.ActionReadSSO:    {"looked at the settings of single sign-on", "look at the settings of single sign-on"},
	vault.ActionUpdateSSO:  {"changed the settings of single sign-on", "change the settings of single sign-on"},
	vault.ActionResetSSO:   {"reset the settings of single sign-on", "reset the settings of single sign-on"},
	vault.ActionTestSSO:    {"tried the settings of single sign-on", "try the settings of single sign-on"},

	vault.ActionListUsers:          {"listed the accounts", "list the accounts"},
	vault.ActionReadUser:           {"looked at the account {target|}", "look at an account {target|}"},
	vault.ActionCreateUser:         {"created the account {target|}", "create an account {target|}"},
	vault.ActionUpdateUser:         {"changed the account {target|}", "change an account {target|}"},
	vault.ActionResetUserPassword:  {"made a link for a new password of {target|an account}", "make a link for a new password of {target|an account}"},
	vault.ActionEndUserSessions:    {"ended the sessions of {target|an account}", "end the sessions of {target|an account}"},
	vault.ActionRemoveSecondFactor: {"removed the second factor of {target|an account}", "remove the second factor of {target|an account}"},
	vault.ActionListAllProjects:    {"listed all projects of the server", "list all projects of the server"},
	vault.ActionJoinProject:        {"joined the project as an administrator of the server", "join the project as an administrator of the server"},

	vault.ActionCreateAdmin:       {"made the administrator {target|}", "make an administrator"},
	vault.ActionResetPassword:     {"set a new password for {target|an account}", "set a new password for {target|an account}"},
	vault.ActionListUsersLocally:  {"listed the accounts on the server itself", "list the accounts on the server itself"},
	vault.ActionActivateLocally:   {"activated the account {target|}", "activate an account {target|}"},
	vault.ActionDeactivateLocally: {"deactivated the account {target|}", "deactivate an account {target|}"},
	vault.ActionGrantLocally:      {"made {target|an account} an administrator", "make {target|an account} an administrator"},
	vault.ActionRevokeLocally:     {"took the administration away from {target|an account}", "take the administration away from {target|an account}"},

	vault.ActionBeginRotation:  {"began to change the encryption key to {target|another}", "change the encryption key"},
	vault.ActionVerifyRotation: {"verified the change of the encryption key", "verify the change of the encryption key"},
	vault.ActionUndoRotation:   {"turned the change of the encryption key back", "turn the change of the encryption key back"},
	vault.ActionFinishRotation: {"finished the change of the encryption key", "finish the change of the encryption key"},
	vault.ActionExportKey:      {"exported the encryption key {target|}", "export the encryption key"},
	vault.ActionEnterKey:       {"gave the database its first encryption key", "give the database its first encryption key"},

	vault.ActionBackup:  {"made the backup {target|}", "make a backup"},
	vault.ActionRestore: {"restored a backup", "restore a backup"},
}

// What a write to a secret did, as the trail names it.
const (
	actionSecretCreated vault.Action = "secret.create"
	actionSecretUpdated vault.Action = "secret.update"
)

// wordsOf are the words of an event. Some say more with the event's details.
func wordsOf(e *api.AuditEvent) words {
	detail := e.Detail
	switch action := vault.Action(e.Action); {
	case action == vault.ActionReadSecret && detail["exported_as"] != "":
		return both("exported {count|all} secrets as "+detail["exported_as"], "export the secrets")
	case action == vault.ActionReadSecret && detail["promoted_to"] != "":
		return both("copied {count|the} secrets to "+detail["promoted_to"], "copy secrets")
	case action == vault.ActionReadSecret && e.Target == "*":
		return both("read {count|all} secrets", "read the secrets")
	case action == vault.ActionCompareSecrets && detail["imported_from"] != "":
		return both("compared a file with the secrets", "compare a file with the secrets")
	case action == vault.ActionCompareSecrets && e.Target == "*":
		return both("compared all environments", "compare all environments")
	case action == actionSecretUpdated && detail["renamed_from"] != "":
		return both("renamed "+detail["renamed_from"]+" to {target|}", "rename a secret")
	case action == vault.ActionUpdateMember && detail["role"] != "":
		return both("made {target|a member} "+article(detail["role"]), "change what {target|a member} may do")
	case action == vault.ActionCreateInvitation && detail["role"] != "":
		return both("invited {target|somebody} as "+detail["role"], "invite {target|somebody}")
	case action == vault.ActionAcceptInvitation && e.Target == e.Actor.Name:
		return both("accepted the invitation", "accept the invitation")
	case auditWords[action] == words{}: // of a later version of Heartlock
		return both("did "+e.Action+" {target|}", "do "+e.Action+" {target|}")
	default:
		return auditWords[action]
	}
}

func both(did, to string) words { return words{did, to} }

// article is a noun with its article: "an owner".
func article(noun string) string {
	if noun != "" && strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}

// label is an action in a list of choices: "Read a secret".
func (w words) label() string {
	var b strings.Builder
	for _, piece := range split(w.to) {
		b.WriteString(piece.text)
	}
	return capital(strings.Join(strings.Fields(b.String()), " "))
}

// piece is a part of words: a text, or the name of what stands there with what stands
// there otherwise.
type piece struct{ text, name string }

// split takes words apart.
func split(text string) (pieces []piece) {
	for text != "" {
		before, rest, found := strings.Cut(text, "{")
		if before != "" {
			pieces = append(pieces, piece{text: before})
		}
		if !found {
			break
		}
		var inside string
		inside, text, _ = strings.Cut(rest, "}")
		name, otherwise, _ := strings.Cut(inside, "|")
		pieces = append(pieces, piece{name: name, text: otherwise})
	}
	return pieces
}
