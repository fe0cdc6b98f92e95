package web

import (
	"errors"
	"slices"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

const sessionsPage = "/account/sessions/"

func sessionRoutes() []route {
	return []route{
		{method: get, pattern: sessionsPage, action: vault.ActionListSessions, serve: showSessions},
		{method: post, pattern: sessionsPage + "end-others/", action: vault.ActionEndSession, serve: endOtherSessions},
		{method: post, pattern: sessionsPage + "{session}/end/", action: vault.ActionEndSession, serve: endSession},
	}
}

type sessionsData struct {
	accountNav
	Sessions []sessionRow
}

// Others reports whether there are sessions beside the present one.
func (d sessionsData) Others() bool { return len(d.Sessions) > 1 }

type sessionRow struct {
	api.Session
	Device string
}

// showSessions lists the present session first and then the others, as they were
// last used.
func showSessions(v *visit) error {
	nav, err := v.accountNav()
	if err != nil {
		return err
	}
	all, err := v.vault.Sessions(v, v.who)
	if err != nil {
		return err
	}
	data := sessionsData{accountNav: nav}
	for _, s := range all.Results {
		data.Sessions = append(data.Sessions, sessionRow{s, device(s.UserAgent)})
	}
	slices.SortStableFunc(data.Sessions, func(a, b sessionRow) int {
		if a.Current != b.Current {
			return map[bool]int{true: -1, false: 1}[a.Current]
		}
		return b.LastSeenAt.Compare(a.LastSeenAt)
	})
	return v.show(page{Template: "sessions", Title: "Sessions", Section: "sessions", Data: data})
}

func endSession(v *visit) error {
	id := v.path("session")
	if id == v.who.SessionID() {
		return v.again(fault.New(fault.Conflict, "This is the session that you are using. Sign out to end it."), showSessions)
	}
	// One that has ended meanwhile is what was wanted.
	if err := v.vault.EndSession(v, v.who, id); err != nil && !errors.Is(err, fault.NotFound) {
		return err
	}
	return v.done(sessionsPage, "session-ended")
}

func endOtherSessions(v *visit) error {
	all, err := v.vault.Sessions(v, v.who)
	if err != nil {
		return err
	}
	for _, s := range all.Results {
		if s.Current {
			continue
		}
		if err := v.vault.EndSession(v, v.who, s.ID); err != nil && !errors.Is(err, fault.NotFound) {
			return err
		}
	}
	return v.done(sessionsPage, "sessions-ended")
}
