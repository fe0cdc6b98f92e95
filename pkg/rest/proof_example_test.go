package rest_test

import (
	"strings"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

// withoutFactors is a body for which nobody has a second factor.
func withoutFactors(body map[string]any) func(*world) any {
	return func(w *world) any {
		w.s.Exec("DELETE FROM second_factors")
		return body
	}
}

// confirmedReset uses a link that was made for somebody new.
func confirmedReset(w *world) any {
	var made api.PasswordLink
	id := somebody(w, "")
	w.callers["owner"].Call("POST", "/admin/users/"+id+"/reset-password/", nil).Want(201).Decode(&made)
	parts := strings.Split(strings.TrimSuffix(made.Link.Reveal(), "/"), "/")
	return map[string]any{"token": parts[len(parts)-1], "new_password": heartlocktest.Password}
}
