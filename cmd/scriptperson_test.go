package cmd

import (
	"bytes"
	"net/http"
	"net/http/cookiejar"
	"net/url"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/heartlock/heartlock/pkg/api"
)

// scriptSignIn is `signin NAME EMAIL`: it signs a person in at HEARTLOCK_SERVER,
// as a browser would, with the password that scripts have in common, and sets a
// variable to a new personal token of his.
func scriptSignIn(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: signin NAME EMAIL")
	}
	server, err := url.Parse(ts.Getenv("HEARTLOCK_SERVER"))
	ts.Check(err)
	jar, err := cookiejar.New(nil)
	ts.Check(err)
	browser := &http.Client{Jar: jar}
	defer browser.CloseIdleConnections()
	post := func(path string, body, answer any) {
		var text bytes.Buffer
		ts.Check(api.Encode(&text, body))
		r, err := http.NewRequest(http.MethodPost, server.String()+api.Prefix+path, &text)
		ts.Check(err)
		r.Header.Set("Content-Type", "application/json")
		for _, cookie := range jar.Cookies(server) {
			if cookie.Name == "csrftoken" {
				r.Header.Set("X-CSRFToken", cookie.Value)
			}
		}
		response, err := browser.Do(r)
		ts.Check(err)
		defer response.Body.Close()
		var got bytes.Buffer
		_, err = got.ReadFrom(response.Body)
		ts.Check(err)
		if response.StatusCode >= 300 {
			ts.Fatalf("POST %s: %s", path, got.String())
		}
		ts.Check(api.DecodeResponse(got.Bytes(), answer))
	}
	var account api.Account
	post("/auth/login/", api.LoginRequest{Email: args[1], Password: api.NewValue(ownerPassword)}, &account)
	var made api.PersonalToken
	post("/auth/tokens/", api.CreatePersonalToken{Name: "script"}, &made)
	ts.Setenv(args[0], made.Token.Reveal())
}
