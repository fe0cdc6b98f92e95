package web

import (
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/vault"
)

// TestEveryActionHasWords holds the table of words against the policy: whatever can be
// refused can stand in a trail.
func TestEveryActionHasWords(t *testing.T) {
	t.Parallel()
	groups := map[string]bool{}
	for _, g := range auditGroups() {
		groups[g.Name] = true
	}
	actions := append(vault.Policy(), actionSecretCreated, actionSecretUpdated, vault.ActionUseToken, vault.ActionExposeToken,
		vault.ActionThrottle, vault.ActionPruneHistory, vault.ActionBeginChain, vault.ActionEnterKey, vault.ActionPruneAudit)
	for _, action := range actions {
		w, known := auditWords[action]
		if !known || w.did == "" || w.to == "" {
			t.Errorf("there are no words for %s", action)
		}
		if kind, _, _ := strings.Cut(string(action), "."); !groups[kind] {
			t.Errorf("%s is in no group of choices", action)
		}
	}
	if len(auditWords) != len(actions) {
		t.Errorf("there are words for %d actions, and %d actions", len(auditWords), len(actions))
	}
}

func TestSentences(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		event api.AuditEvent
		want  string
	}{
		{api.AuditEvent{Action: "secret.read", Target: "API_KEY", Environment: "production"}, "read API_KEY in production"},
		{api.AuditEvent{Action: "secret.read", Target: "*", Environment: "staging", Detail: map[string]string{"count": "12"}}, "read 12 secrets in staging"},
		{api.AuditEvent{Action: "secret.read", Target: "*", Environment: "staging", Detail: map[string]string{"count": "12", "exported_as": "k8s"}}, "exported 12 secrets as k8s in staging"},
		{api.AuditEvent{Action: "secret.update", Target: "B", Environment: "staging", Detail: map[string]string{"renamed_from": "A"}}, "renamed A to B in staging"},
		{api.AuditEvent{Action: "secret.write", Environment: "staging", Outcome: "refused"}, "tried to write a secret in staging and was refused"},
		{api.AuditEvent{Action: "environment.delete", Target: "staging", Environment: "staging"}, "deleted the environment staging with its secrets"},
		{api.AuditEvent{Action: "member.update", Target: "b@example.com", Detail: map[string]string{"role": "owner"}}, "made b@example.com an owner"},
		{api.AuditEvent{Action: "token.create", Outcome: "refused"}, "tried to create a service token and was refused"},
		{api.AuditEvent{Action: "future.action", Target: "x"}, "did future.action x"},
	} {
		var b strings.Builder
		for _, part := range sentenceOf(&c.event) {
			b.WriteString(part.Text)
		}
		if b.String() != c.want {
			t.Errorf("%s: %q, want %q", c.event.Action, b.String(), c.want)
		}
	}
}
