package rest_test

import (
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

// TestProofsOverHTTP sees what of links and second factors is of the wire: bodies,
// statuses and the problem's own member.
func TestProofsOverHTTP(t *testing.T) {
	t.Parallel()
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		s.AddUser("vera@example.com")
		anonymous := s.Anonymous()
		for _, body := range []map[string]any{{"email": []string{"vera@example.com", "eve@example.net"}}, {"email": map[string]any{}}, {}, {"email": ""}, {"email": "vera@example.com", "cc": "eve@example.net"}} {
			anonymous.Call("POST", "/auth/password-reset/", body).WantProblem(400)
		}
		if n := s.Count("mail_queue", "kind = 'password-reset'"); n != 0 {
			t.Errorf("%d mails for what is no request", n)
		}
		anonymous.Call("POST", "/auth/password-reset/", map[string]any{"email": "vera@example.com"}).Want(202)
		if n := s.Count("mail_queue", "kind = 'password-reset' AND recipient = 'vera@example.com'"); n != 1 {
			t.Errorf("%d mails", n)
		}
		anonymous.Call("POST", "/auth/password-reset/confirm/", map[string]any{"token": "x", "new_password": heartlocktest.Password}).WantProblem(410)

		vera := s.Login("vera@example.com")
		var setup api.SecondFactorSetup
		vera.Call("POST", "/auth/second-factor/", map[string]any{"password": heartlocktest.Password}).Want(200).Decode(&setup)
		code, err := totp.GenerateCode(setup.Secret.Reveal(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		vera.Call("POST", "/auth/second-factor/confirm/", map[string]any{"code": code}).Want(200)
		var problem api.Problem
		login := map[string]any{"email": "vera@example.com", "password": heartlocktest.Password}
		anonymous.Call("POST", "/auth/login/", login).Want(401).Decode(&problem)
		if !problem.SecondFactor {
			t.Error("the problem does not tell of the second factor")
		}
		login["password"] = "not the passphrase"
		problem = api.Problem{}
		anonymous.Call("POST", "/auth/login/", login).Want(401).Decode(&problem)
		if problem.SecondFactor || problem.Detail != "Invalid email or password." {
			t.Errorf("a wrong password: %+v", problem)
		}
		for range 4 {
			anonymous.Call("POST", "/auth/login/", login).Want(401)
		}
		refused := anonymous.Call("POST", "/auth/login/", login).Want(429)
		if refused.Header.Get("Retry-After") != "900" {
			t.Errorf("Retry-After: %s", refused.Header.Get("Retry-After"))
		}
	})
}
