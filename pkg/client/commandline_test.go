package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
)

// script is a server that gives one answer after the other, within a bubble of
// synctest, where the time is not the real one.
type script struct {
	answers []scripted
	began   time.Time
	at      []time.Duration // when it was asked
	paths   []string
	bodies  []string
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	s.at, s.paths, s.bodies = append(s.at, time.Since(s.began)), append(s.paths, r.Method+" "+r.URL.Path), append(s.bodies, strings.TrimSpace(string(body)))
	a := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	if a.status == 0 {
		return nil, errors.New("connection refused")
	}
	return &http.Response{
		StatusCode: a.status, Header: http.Header{"Content-Type": {a.mediaType}}, Body: io.NopCloser(strings.NewReader(a.body)), ContentLength: int64(len(a.body)),
	}, nil
}

// scripted is an answer; the zero value is none, because the connection breaks.
type scripted struct {
	status          int
	mediaType, body string
}

func gives(body string) scripted { return scripted{200, "application/json", body} }

func refuses(word string) scripted {
	return scripted{400, api.ProblemType, `{"type":"about:blank","title":"Bad Request","status":400,"detail":"Why.","error":"` + word + `"}`}
}

const givenToken = `{"token":"hlp_x","id":"i","name":"heartlock on box","prefix":"hlp_","expires_at":"2027-01-01T00:00:00Z","email":"ann@example.com"}`

func await(t *testing.T, s *script, begun api.DeviceAuthorization) (api.CLIToken, error) {
	t.Helper()
	s.began = time.Now()
	c, err := New(Options{Server: "https://secrets.example.com", Transport: s})
	if err != nil {
		t.Fatal(err)
	}
	return c.AwaitDevice(t.Context(), begun)
}

func TestAwaitDeviceKeepsToTheInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []scripted{
			refuses(api.ErrorAuthorizationPending), refuses(api.ErrorSlowDown), {}, {502, "text/html", "x"}, gives(givenToken),
		}}
		got, err := await(t, s, api.DeviceAuthorization{DeviceCode: api.NewValue("the device code"), Interval: 5, ExpiresIn: 600})
		if err != nil || got.Token.Reveal() != "hlp_x" || got.Email != "ann@example.com" || got.Name != "heartlock on box" {
			t.Errorf("%+v, %v", got, err)
		}
		second := time.Second
		if diff := cmp.Diff([]time.Duration{5 * second, 10 * second, 20 * second, 40 * second, 80 * second}, s.at); diff != "" {
			t.Errorf("asked at (-want +got):\n%s", diff)
		}
		if s.paths[0] != "POST /api/v1/auth/cli-token/" || s.bodies[0] != `{"device_code":"the device code"}` {
			t.Errorf("%s %s", s.paths[0], s.bodies[0])
		}
	})
}

func TestAwaitDeviceEnds(t *testing.T) {
	t.Parallel()
	for word, asked := range map[string]int{api.ErrorAccessDenied: 1, api.ErrorExpiredToken: 1, "a_word_to_come": 1, api.ErrorAuthorizationPending: 12} {
		synctest.Test(t, func(t *testing.T) {
			s := &script{answers: []scripted{refuses(word)}}
			_, err := await(t, s, api.DeviceAuthorization{ExpiresIn: 60}) // without an interval it is five seconds
			want := word
			if word == api.ErrorAuthorizationPending {
				want = api.ErrorExpiredToken
			}
			if f := fault.As(err); f == nil || f.Code != want || f.Kind != fault.Invalid || len(s.at) != asked {
				t.Errorf("%s: %v after %d requests", word, err, len(s.at))
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []scripted{{404, api.ProblemType, `{"status":404,"detail":"Not found."}`}}}
		if _, err := await(t, s, api.DeviceAuthorization{ExpiresIn: 60}); !errors.Is(err, fault.NotFound) || len(s.at) != 1 {
			t.Errorf("an older server: %v after %d requests", err, len(s.at))
		}
	})
}

func TestAwaitDeviceStopsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Options{Server: "https://secrets.example.com", Transport: &script{answers: []scripted{refuses(api.ErrorAuthorizationPending)}}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
		defer cancel()
		began := time.Now()
		if _, err := c.AwaitDevice(ctx, api.DeviceAuthorization{Interval: 5, ExpiresIn: 600}); err == nil || time.Since(began) != 12*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestCommandLineRequests(t *testing.T) {
	t.Parallel()
	s := &script{answers: []scripted{
		gives(`{"device_code":"d","user_code":"BCDF-GHJK","verification_uri":"https://h/device/","verification_uri_complete":"https://h/device/?user_code=BCDF-GHJK","expires_in":600,"interval":5}`),
		gives(`{}`),
		gives(givenToken), gives(`{"token":""}`), refuses(api.ErrorInvalidGrant),
	}}
	c, err := New(Options{Server: "https://secrets.example.com", Transport: s})
	if err != nil {
		t.Fatal(err)
	}
	begun, err := c.BeginDevice(t.Context(), "box")
	if err != nil || begun.DeviceCode.Reveal() != "d" || begun.UserCode != "BCDF-GHJK" || begun.Interval != 5 || begun.ExpiresIn != 600 {
		t.Errorf("%+v, %v", begun, err)
	}
	if _, err := c.BeginDevice(t.Context(), ""); err == nil {
		t.Error("an answer without a code is taken")
	}
	code, verifier := api.NewValue("c"), api.NewValue("v")
	if token, err := c.CodeToken(t.Context(), code, verifier); err != nil || token.Token.Reveal() != "hlp_x" {
		t.Error(err)
	}
	if _, err := c.CodeToken(t.Context(), code, verifier); err == nil {
		t.Error("an answer without a token is taken")
	}
	if _, err := c.CodeToken(t.Context(), code, verifier); fault.As(err) == nil || fault.As(err).Code != api.ErrorInvalidGrant {
		t.Error(err)
	}
	want := []string{`{"machine":"box"}`, `{}`, `{"code":"c","code_verifier":"v"}`, `{"code":"c","code_verifier":"v"}`, `{"code":"c","code_verifier":"v"}`}
	if diff := cmp.Diff(want, s.bodies); diff != "" {
		t.Errorf("bodies (-want +got):\n%s", diff)
	}
	if s.paths[0] != "POST /api/v1/auth/device/" || s.paths[2] != "POST /api/v1/auth/cli-token/" {
		t.Error(s.paths)
	}
}

// TestNoTokenIsFetchedInTheClear: its answer could be read on the way.
func TestNoTokenIsFetchedInTheClear(t *testing.T) {
	t.Parallel()
	s := &script{}
	c, err := New(Options{Server: "http://secrets.example.com", Transport: s})
	if err != nil {
		t.Fatal(err)
	}
	_, first := c.BeginDevice(t.Context(), "box")
	_, second := c.CodeToken(t.Context(), api.NewValue("c"), api.NewValue("v"))
	_, third := c.AwaitDevice(t.Context(), api.DeviceAuthorization{Interval: 1, ExpiresIn: 60})
	for _, err := range []error{first, second, third} {
		if !errors.Is(err, fault.Usage) {
			t.Error(err)
		}
	}
	if len(s.paths) > 0 {
		t.Error("something was sent")
	}
}
