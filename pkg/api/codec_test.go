package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const canary = "s3cr3t-canary-7319"

func TestValueIsRedactedEverywhereButOnTheWire(t *testing.T) {
	v := NewValue(canary)
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s %v %+v %#v %q %x %d", v, v, v, v, v, v, v)
	type hidden struct{ v Value }
	fmt.Fprintf(&out, "%v %+v %#v %v", hidden{v}, hidden{v}, hidden{v}, &hidden{v})
	fmt.Fprintf(&out, "%v %+v", PutSecret{Value: &v}, struct{ V Value }{v})
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "value", v, "struct", LoginRequest{Password: v})
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "value", v, "struct", LoginRequest{Password: v})
	if err := json.NewEncoder(&out).Encode(LoginRequest{Password: v}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), canary) || strings.Contains(out.String(), fmt.Sprintf("%x", canary)) {
		t.Errorf("the value shows: %s", out.String())
	}
	out.Reset()
	if err := Encode(&out, LoginRequest{Email: "a@b", Password: v}); err != nil {
		t.Fatal(err)
	}
	if want := `{"email":"a@b","password":"` + canary + `"}`; out.String() != want {
		t.Errorf("Encode gave %s, want %s", out.String(), want)
	}
}

func TestRoundTripIsExact(t *testing.T) {
	for _, text := range []string{"", "a", "\r\n\t", "<>&\u2028\u2029", `"\/`, "é中🔒", "\ufeffBOM", "\u0001\u001f\u007f", strings.Repeat("x", 64<<10)} {
		var b bytes.Buffer
		v := NewValue(text)
		if err := Encode(&b, PutSecret{Value: &v}); err != nil {
			t.Fatal(err)
		}
		var back PutSecret
		if err := Decode(b.Bytes(), &back); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if back.Value.Reveal() != text {
			t.Errorf("%q came back as %q", text, back.Value.Reveal())
		}
	}
}

// A pointer says whether something is given; that what it points to is empty is
// no reason to leave it out.
func TestEmptyIsNotAbsent(t *testing.T) {
	empty, none := NewValue(""), ""
	for _, v := range []any{
		Secret{Value: &empty},
		PersonalToken{Token: &empty},
		ServiceToken{Token: &empty},
		OnboardResponse{EncryptionKey: &empty},
		PutSecret{Comment: &none},
		PatchSecret{Comment: &none},
		UpdateMe{FirstName: &none, LastName: &none},
		UpdateProject{Description: &none},
		UpdateEnvironment{Name: &none},
	} {
		var b bytes.Buffer
		if err := Encode(&b, v); err != nil {
			t.Fatal(err)
		}
		back := reflect.New(reflect.TypeOf(v))
		if err := DecodeResponse(b.Bytes(), back.Interface()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(v, back.Elem().Interface(), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%T loses something on the wire: %s", v, diff)
		}
	}
}

func TestDecodeIsStrictAndRepeatsNoInput(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40)
	wide := `{"set":{` + strings.TrimSuffix(strings.Repeat(`"a":1,`, 1), ",") + `}}`
	for _, c := range []struct{ body, location, message string }{
		{``, "body", "is empty"},
		{`[]`, "body", "must be a JSON object"},
		{`"` + canary + `"`, "body", "must be a JSON object"},
		{`{"email":"a","email":"b"}`, "body.email", "twice"},
		{`{"Email":"a"}`, "body.…", "not a field"},
		{`{"is_superuser":true}`, "body.is_superuser", "not a field"},
		{`{"` + canary + `":true}`, "body.…", "not a field"},
		{`{"email":["` + canary + `"]}`, "body.email", "must be a string"},
		{`{"email":7319}`, "body.email", "must be a string"},
		{`{"password":null}`, "body.password", "must be a string"},
		{`{"password":{"x":"` + canary + `"}}`, "body.password", "must be a string"},
		{`{"email":"a"} ` + canary, "body", "data after"},
		{`{"email":"a"}{}`, "body", "data after"},
		{`{"email":"` + canary + `"`, "body", "ends too early"},
		{"{\"email\":\"a\xff\"}", "body.email", "UTF-8"},
		{`{"email":"\ud800"}`, "body.email", "UTF-8"},
		{`{'email':1}`, "body", "not valid JSON"},
		{deep, "body", "levels deep"},
		{wide, "body.set", "not a field"},
	} {
		var dst LoginRequest
		err := Decode([]byte(c.body), &dst)
		var de *DecodeError
		if !errors.As(err, &de) {
			t.Errorf("%.60q: got %v, want a DecodeError", c.body, err)
			continue
		}
		if de.Location != c.location || !strings.Contains(de.Message, c.message) {
			t.Errorf("%.60q: got %q %q, want %q %q", c.body, de.Location, de.Message, c.location, c.message)
		}
		if strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), "7319") {
			t.Errorf("the error repeats the input: %v", err)
		}
	}
}

func TestDecodeBoundsTheNumberOfMembers(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"set":{`)
	for i := range 20_000 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"K%d":"v"`, i)
	}
	b.WriteString(`}}`)
	var dst BulkRequest
	if err := Decode([]byte(b.String()), &dst); err == nil || !strings.Contains(err.Error(), "members") {
		t.Errorf("20,000 members: %v", err)
	}
}

func TestTimesAreStrictAndUTC(t *testing.T) {
	var dst CreatePersonalToken
	if err := Decode([]byte(`{"name":"a","expires_at":"2027-01-31T12:00:00+02:00"}`), &dst); err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2027, 1, 31, 10, 0, 0, 0, time.UTC); !dst.ExpiresAt.Equal(want) || dst.ExpiresAt.Location() != time.UTC {
		t.Errorf("got %v, want %v", dst.ExpiresAt, want)
	}
	dst = CreatePersonalToken{}
	if err := Decode([]byte(`{"name":"a","expires_at":null}`), &dst); err != nil || dst.ExpiresAt != nil {
		t.Errorf("null: %v %v", err, dst.ExpiresAt)
	}
	for _, bad := range []string{`"tomorrow"`, `1`, `"2027-01-31"`, `""`, `"9999-12-31T23:59:59-23:00"`, `"0000-12-31T23:59:59+23:00"`} {
		if err := Decode([]byte(`{"name":"a","expires_at":`+bad+`}`), &dst); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}

func TestMeIsFlat(t *testing.T) {
	var b bytes.Buffer
	if err := Encode(&b, Me{Account: &Account{ID: "1", Email: "a@b.co", HasPassword: true}}); err != nil {
		t.Fatal(err)
	}
	want := `{"id":"1","email":"a@b.co","first_name":"","last_name":"","is_superuser":false,"has_password":true,"sso_enabled":false}`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
	var me Me
	if err := DecodeResponse([]byte(`{"sso_enabled":true,"service_token":{"id":"t"},"new_field":1}`), &me); err != nil || me.Account != nil || me.ServiceToken.ID != "t" {
		t.Errorf("service token: %+v, %v", me, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"set":{"A":"b"},"unset":["C"],"dry_run":true}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var dst BulkRequest
		if err := Decode(data, &dst); err != nil {
			var de *DecodeError
			if !errors.As(err, &de) {
				t.Fatalf("%T", err)
			}
			return
		}
		var b bytes.Buffer
		if err := Encode(&b, dst); err != nil {
			t.Fatal(err)
		}
		var again BulkRequest
		if err := Decode(b.Bytes(), &again); err != nil {
			t.Fatalf("own output refused: %v", err)
		}
	})
}

// Two answers with the same content must not be told apart, and a request that is
// sent again must be known again.
func TestEqualValuesAreEncodedAlike(t *testing.T) {
	t.Parallel()
	m := Member{Environments: map[string]EnvironmentAccess{}}
	for _, slug := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		m.Environments[slug] = EnvironmentRead
	}
	var first strings.Builder
	for range 20 {
		var b strings.Builder
		if err := Encode(&b, m); err != nil {
			t.Fatal(err)
		}
		if first.Len() == 0 {
			first.WriteString(b.String())
		}
		if b.String() != first.String() {
			t.Fatalf("%s\n%s", first.String(), b.String())
		}
	}
}
