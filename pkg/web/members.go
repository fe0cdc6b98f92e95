package web

import (
	"errors"
	"slices"
	"strings"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

const membersPath = projectPath + "members/"

func memberRoutes() []route {
	return []route{
		{method: get, pattern: membersPath, action: vault.ActionListMembers, serve: showMembers},
		{method: get, pattern: membersPath + "{user}/", action: vault.ActionListMembers, serve: showMembers},
		{method: post, pattern: membersPath + "leave/", action: vault.ActionLeaveProject, serve: leaveProject},
		{method: post, pattern: membersPath + "{user}/", action: vault.ActionUpdateMember, serve: updateMember},
		{method: post, pattern: membersPath + "{user}/remove/", action: vault.ActionRemoveMember, serve: removeMember},
	}
}

// membersPage is the people of a project and those who are invited.
type membersPage struct {
	Members      []memberRow
	Inline       bool   // every line opens where it is
	Open         string // id of the member whose line is open; else each has a page
	MayInvite    bool
	Roles        []api.Role // that one may invite to
	InviteLimits []limitRow // what a guest may do in each environment, to begin with
	Invitations  []invitationRow
	Invited      *invited // just now
	MailDelivers bool
}

// maxInline bounds how many fields of members a page holds, so that it stays light. In
// larger projects each line that opens is a page.
const maxInline = 70

// memberRow is a member with what one may do with him.
type memberRow struct {
	api.Member
	Self      bool
	MayChange bool
	MayRemove bool // or, oneself, leave
	LastOwner bool // and so can not go
	Roles     []api.Role
	Limits    []limitRow
	Tokens    int // service tokens that he has made, as far as one may know
	AsksKeep  bool
}

// limitRow is what somebody may do in an environment.
type limitRow struct {
	Environment api.Environment
	Access      api.EnvironmentAccess
}

// Name is the member's name, or his address if he has given none.
func (m memberRow) Name() string {
	return personName(&api.Account{Email: m.Email, FirstName: m.FirstName, LastName: m.LastName})
}

// limited lists the environments in which somebody may do less than his role allows.
func limited(rows []limitRow) (less []limitRow) {
	for _, row := range rows {
		if row.Access != api.EnvironmentWrite {
			less = append(less, row)
		}
	}
	return less
}

// Less lists the environments in which the member may do less than his role allows.
func (m memberRow) Less() []limitRow { return limited(m.Limits) }

func showMembers(v *visit) error { return v.showMembers(nil) }

func (v *visit) showMembers(just *invited) error {
	nav, err := v.projectNav("members")
	if err != nil {
		return err
	}
	data := membersPage{
		Invited: just, MailDelivers: v.vault.MailDelivers(), InviteLimits: limitRows(nav.Environments, nil),
		MayInvite: vault.RoleMay(nav.Project.Role, vault.ActionCreateInvitation), Roles: vault.RolesToGive(nav.Project.Role),
	}
	if data.Members, err = v.memberRows(nav); err != nil {
		return err
	}
	data.Inline = len(data.Members)*(len(nav.Environments)+4) <= maxInline
	if data.Open = v.path("user"); data.Open != "" && !slices.ContainsFunc(data.Members, func(m memberRow) bool { return m.ID == data.Open }) {
		return errNoPage
	}
	if vault.RoleMay(nav.Project.Role, vault.ActionListInvitations) {
		if data.Invitations, err = v.invitationRows(nav); err != nil {
			return err
		}
	}
	return v.show(page{Template: "members", Title: "People", Project: nav, Data: data})
}

func (v *visit) memberRows(nav *projectNav) ([]memberRow, error) {
	list, err := v.vault.Members(v, v.who, nav.Project.ID)
	if err != nil {
		return nil, err
	}
	made, err := v.tokensByMaker(nav)
	if err != nil {
		return nil, err
	}
	me, _ := v.who.Account()
	role, owners := nav.Project.Role, activeOwners(list.Results)
	mayKeep := vault.RoleMay(role, vault.ActionCreateToken)
	rows := make([]memberRow, len(list.Results))
	for i, m := range list.Results {
		self := m.ID == me.ID
		rows[i] = memberRow{
			Member: m, Self: self, Tokens: made[m.ID], AsksKeep: mayKeep && made[m.ID] > 0,
			LastOwner: m.Role == api.RoleOwner && m.IsActive && owners == 1,
			MayChange: vault.MayActOn(role, vault.ActionUpdateMember, m.Role, self),
			MayRemove: self || vault.MayActOn(role, vault.ActionRemoveMember, m.Role, self),
			Roles:     vault.RolesToGive(role),
			Limits:    limitRows(nav.Environments, m.Environments),
		}
	}
	return rows, nil
}

// tokensByMaker counts the service tokens of a project by who has made them, for
// who may know of them.
func (v *visit) tokensByMaker(nav *projectNav) (map[string]int, error) {
	made := map[string]int{}
	if !vault.RoleMay(nav.Project.Role, vault.ActionListTokens) {
		return made, nil
	}
	tokens, err := v.vault.ServiceTokens(v, v.who, nav.Project.ID)
	for i := range tokens.Results {
		made[tokens.Results[i].CreatedBy.ID]++
	}
	return made, err
}

func activeOwners(members []api.Member) (n int) {
	for i := range members {
		if members[i].Role == api.RoleOwner && members[i].IsActive {
			n++
		}
	}
	return n
}

// limitRows are the environments with what limits leave somebody in each.
func limitRows(environments []api.Environment, limits map[string]api.EnvironmentAccess) []limitRow {
	rows := make([]limitRow, len(environments))
	for i, e := range environments {
		rows[i] = limitRow{e, api.EnvironmentWrite}
		if access, limited := limits[e.Slug]; limited {
			rows[i].Access = access
		}
	}
	return rows
}

// limitField is how the name of the field of an environment's access begins; its slug
// follows.
const limitField = "limit-"

// limits reads what a form changes of single environments. Of who may do everything
// everywhere there is nothing to say: the form can not take its fields away when such a
// role is chosen.
func (v *visit) limits(role api.Role) map[string]api.EnvironmentAccess {
	if role.AtLeast(api.RoleAdmin) {
		return nil
	}
	limits := map[string]api.EnvironmentAccess{}
	for name := range v.input {
		if slug, of := strings.CutPrefix(name, limitField); of && v.isAnother(name) {
			limits[slug] = api.EnvironmentAccess(v.text(name))
		}
	}
	return limits
}

func (v *visit) membersPage() string { return "/projects/" + v.path("project") + "/members/" }

func updateMember(v *visit) error {
	role := api.Role(v.text("role"))
	change := api.UpdateMember{Environments: v.limits(role)}
	if v.isAnother("role") {
		change.Role = &role
	}
	if _, err := v.vault.UpdateMember(v, v.who, v.path("project"), v.path("user"), change); err != nil {
		return v.again(err, showMembers)
	}
	return v.done(v.membersPage(), "member-changed")
}

func removeMember(v *visit) error {
	if me, _ := v.who.Account(); me.ID == v.path("user") {
		return leaveProject(v)
	}
	err := v.vault.RemoveMember(v, v.who, v.path("project"), v.path("user"), v.keepsTokens())
	if err != nil && !v.gone(err) {
		return v.again(err, showMembers)
	}
	return v.done(v.membersPage(), "member-removed")
}

func leaveProject(v *visit) error {
	me, _ := v.who.Account()
	if err := v.vault.RemoveMember(v, v.who, v.path("project"), me.ID, v.keepsTokens()); err != nil {
		return v.again(err, showMembers)
	}
	return v.done("/projects/", "project-left")
}

// keepsTokens reads the choice what is to become of the service tokens that somebody
// who goes has made. Without a choice they are revoked.
func (v *visit) keepsTokens() bool { return v.text("tokens") == "keep" }

// gone reports whether what was to be taken away is gone already, from a project that
// is still there for the person: somebody else was faster, and all is well.
func (v *visit) gone(err error) bool {
	if !errors.Is(err, fault.NotFound) {
		return false
	}
	_, err = v.vault.Project(v, v.who, v.path("project"))
	return err == nil
}
