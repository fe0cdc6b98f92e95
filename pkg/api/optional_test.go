package api

import (
	"bytes"
	"testing"
)

func TestOptionalKeepsNullApart(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{}`:                                    `{}`,
		`{"issuer":null}`:                       `{"issuer":null}`,
		`{"issuer":""}`:                         `{"issuer":""}`,
		`{"enable":false,"client_secret":null}`: `{"enable":false,"client_secret":null}`,
		`{"client_secret":"hidden"}`:            `{"client_secret":"hidden"}`, // on the wire, and nowhere else
	} {
		var in UpdateSSO
		if err := Decode([]byte(body), &in); err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		var out bytes.Buffer
		if err := Encode(&out, in); err != nil || out.String() != want {
			t.Errorf("%s became %s (%v)", body, &out, err)
		}
	}
}

func TestOptionalIsStrict(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"enable":"true"}`:          "body.enable: must be true or false",
		`{"enable":1}`:               "body.enable: must be true or false",
		`{"issuer":7}`:               "body.issuer: must be a string",
		`{"client_secret":["x"]}`:    "body.client_secret: must be a string",
		`{"client_secret":{"a":1}}`:  "body.client_secret: must be a string",
		`{"issuer":"a","issuer":""}`: "body.issuer: the same name stands there twice",
		`{"Issuer":"a"}`:             "body.…: is not a field of this request",
		`{"enabled":true}`:           "body.enabled: is not a field of this request",
	} {
		var in UpdateSSO
		if err := Decode([]byte(body), &in); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
}
