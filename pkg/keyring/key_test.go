package keyring

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/fault"
)

// specKey is the published key of the Fernet specification's examples.
const specKey = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4="

func mustKey(t testing.TB, text string) Key {
	t.Helper()
	k, err := ParseKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestParseKeyAccepts(t *testing.T) {
	standard := strings.NewReplacer("-", "+", "_", "/").Replace(specKey)
	for _, text := range []string{specKey, standard, specKey + "\n", specKey + "\r\n"} {
		k, err := ParseKey(text)
		if err != nil {
			t.Errorf("ParseKey(%q): %v", text, err)
			continue
		}
		if k.Encode() != specKey {
			t.Errorf("ParseKey(%q).Encode() = %q", text, k.Encode())
		}
	}
}

func TestParseKeyRefuses(t *testing.T) {
	raw, _ := base64.URLEncoding.DecodeString(specKey)
	for name, c := range map[string]struct{ text, message string }{
		"empty":                {"", "it is empty"},
		"only a newline":       {"\n", "it is empty"},
		"no padding":           {specKey[:43], "padding `=` is missing"},
		"hexadecimal":          {hex.EncodeToString(raw), "64 hexadecimal digits"},
		"upper hexadecimal":    {strings.ToUpper(hex.EncodeToString(raw)), "64 hexadecimal digits"},
		"all zeros":            {strings.Repeat("A", 43) + "=", "all zeros"},
		"leading space":        {" " + specKey, "a space or a line break"},
		"trailing space":       {specKey + " ", "a space or a line break"},
		"inner space":          {specKey[:20] + " " + specKey[21:], "a space or a line break"},
		"inner newline":        {specKey[:20] + "\n" + specKey[20:], "a space or a line break"},
		"two newlines":         {specKey + "\n\n", "a space or a line break"},
		"lone carriage return": {specKey + "\r", "a space or a line break"},
		"trailing bits":        {specKey[:42] + "5=", "not valid base64"}, // 4 and 5 differ in bits that stand for nothing
		"mixed alphabets":      {"+" + specKey[1:], "not valid base64"},
		"other characters":     {"!" + specKey[1:], "not valid base64"},
		"two paddings":         {specKey[:42] + "==", "not valid base64"},
		"48 bytes":             {base64.URLEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, 48)), "it has 64 characters"},
		"33 bytes":             {base64.URLEncoding.EncodeToString(bytes.Repeat([]byte{9}, 33)), "not valid base64"},
		"too long":             {specKey + specKey, "it has 88 characters"},
		"password":             {"correct horse", "a space or a line break"},
		"non-ASCII":            {strings.Repeat("é", 22), "not valid base64"},
	} {
		k, err := ParseKey(c.text)
		if err == nil || !k.IsZero() {
			t.Errorf("%s: accepted", name)
			continue
		}
		if !errors.Is(err, fault.Usage) {
			t.Errorf("%s: kind %v, want Usage", name, fault.KindOf(err))
		}
		if !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: message %q lacks %q", name, err, c.message)
		}
		if text := strings.TrimSpace(c.text); text != "" && strings.Contains(fault.Detail(err), text) {
			t.Errorf("%s: the message repeats the key", name)
		}
	}
}

func TestParseKeys(t *testing.T) {
	other := Generate().Encode()
	for _, c := range []struct {
		text string
		want []string
	}{
		{specKey, []string{specKey}},
		{specKey + "\n", []string{specKey}},
		{specKey + "," + other, []string{specKey, other}},
		{other + ", " + specKey + "\n", []string{other, specKey}},
	} {
		keys, err := ParseKeys(c.text)
		if err != nil || len(keys) != len(c.want) {
			t.Errorf("ParseKeys: %d keys, error %v, want %d keys", len(keys), err, len(c.want))
			continue
		}
		for i := range keys {
			if keys[i].Encode() != c.want[i] {
				t.Errorf("key %d is not the one given", i)
			}
		}
	}
	for text, message := range map[string]string{
		"":                              "it is empty",
		" " + specKey:                   "a space or a line break",
		specKey + ",":                   "Key 2 of 2: This is not an encryption key: it is empty",
		specKey + "," + other + ",nope": "Key 3 of 3:",
		specKey + "," + other + "," + strings.NewReplacer("-", "+", "_", "/").Replace(specKey): "Keys 1 and 3 of the list are the same key",
	} {
		keys, err := ParseKeys(text)
		if keys != nil || !errors.Is(err, fault.Usage) || !strings.Contains(err.Error(), message) {
			t.Errorf("ParseKeys gave %d keys and %v, want an error with %q", len(keys), err, message)
			continue
		}
		for _, secret := range []string{specKey, other, "nope"} {
			if strings.Contains(err.Error(), secret) {
				t.Error("the message repeats a key")
			}
		}
	}
}

func TestGenerateAndFingerprint(t *testing.T) {
	a, b := Generate(), Generate()
	if a.Equal(b) || a.Fingerprint() == b.Fingerprint() {
		t.Error("two generated keys are the same")
	}
	if !a.Equal(mustKey(t, a.Encode())) {
		t.Error("a generated key does not survive Encode and ParseKey")
	}
	// printf 'cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=' | tr -- '-_' '+/' | base64 -d | sha256sum
	if got := mustKey(t, specKey).Fingerprint(); got != "cbeb362f" {
		t.Errorf("fingerprint = %s", got)
	}
	if (Key{}).Fingerprint() != "" || (Key{}).Encode() != "" || !(Key{}).Equal(Key{}) || (Key{}).Equal(a) || a.Equal(Key{}) {
		t.Error("the zero key is taken for a key")
	}
}

// TestKeyIsNeverPrinted formats a key in every way at hand, also inside structs
// whose fields fmt can not call methods on.
func TestKeyIsNeverPrinted(t *testing.T) {
	k := mustKey(t, specKey)
	raw, _ := base64.URLEncoding.DecodeString(specKey)
	hidden := struct{ key Key }{k}
	shown := struct{ Key Key }{k}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%b", "%c", "%o", "%p", "%t", "%T", "%U", "%100s"} {
		for _, v := range []any{k, &k, hidden, &hidden, shown, &shown, []Key{k}, map[string]Key{"k": k}} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
	}
	for _, v := range []any{k, hidden, shown, []Key{k}, map[string]Key{"k": k}} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(append(b, '\n'))
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("x", "key", k, "hidden", hidden, "shown", shown, "group", slog.GroupValue(slog.Any("k", k)))
	}
	fmt.Fprintln(&out, fmt.Errorf("bad: %v %w", k, fault.Newf(fault.Usage, "%s", k)))
	for name, secret := range map[string]string{
		"base64": specKey, "hexadecimal": hex.EncodeToString(raw), "bytes": string(raw),
		"decimal": strings.Trim(fmt.Sprint(raw[:8]), "[]"), "decimal with commas": strings.Trim(strings.ReplaceAll(fmt.Sprint(raw[:8]), " ", ","), "[]"),
		"octets": strings.Trim(fmt.Sprintf("%#v", raw[:8])[len("[]byte{"):], "{}"),
	} {
		if strings.Contains(strings.ToLower(out.String()), strings.ToLower(secret)) {
			t.Errorf("the key was printed as %s", name)
		}
	}
	for got, want := range map[string]string{
		k.String(): "[redacted key cbeb362f]", fmt.Sprintf("%x", k): "[redacted key cbeb362f]", fmt.Sprint(Key{}): "[no key]",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	for _, seed := range []string{"", specKey, specKey + "\n", specKey[:43], strings.Repeat("A", 43) + "=", strings.Repeat("ab", 32), specKey + "," + specKey} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		k, err := ParseKey(text)
		if err != nil {
			if !k.IsZero() || !errors.Is(err, fault.Usage) {
				t.Fatalf("error %v with key %v", err, k)
			}
			return
		}
		again := k.Encode()
		if body := strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r"); again != strings.NewReplacer("+", "-", "/", "_").Replace(body) {
			t.Fatal("the key that was read is not the one in the text")
		}
		if !mustKey(t, again).Equal(k) {
			t.Fatal("Encode and ParseKey disagree")
		}
	})
}
