package vault

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"math/big"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
)

func TestTokensHaveTheirForm(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^hlp_[0-9A-Za-z]{46}$`)
	seen := map[string]bool{}
	for range 500 {
		text := newToken().Reveal()
		if !form.MatchString(text) || !wellFormed(text) || seen[text] {
			t.Fatalf("a token is malformed or came twice")
		}
		seen[text] = true
		// The checksum as anyone else would compute it.
		want := big.NewInt(int64(crc32.ChecksumIEEE([]byte(text[:44])))).Text(62)
		want = strings.Map(func(r rune) rune { // big's digits are 0-9a-zA-Z
			switch {
			case r >= 'a' && r <= 'z':
				return r - 'a' + 'A'
			case r >= 'A' && r <= 'Z':
				return r - 'A' + 'a'
			}
			return r
		}, want)
		if got := strings.TrimLeft(text[44:], "0"); got != want {
			t.Fatalf("checksum %s, want %s", got, want)
		}
	}
}

func TestWhatIsNearlyATokenIsNone(t *testing.T) {
	t.Parallel()
	text := newToken().Reveal()
	near := []string{
		"", "hlp_", text[:len(text)-1], text + "0", text + "\n", "\n" + text, " " + text, text + " ", strings.ToUpper(text),
		strings.Replace(text, "hlp_", "hlt_", 1), strings.Replace(text, "hlp_", "HLP_", 1), text + text, text[:49] + "\x00", text[:48] + "ü",
	}
	for i := len(tokenMark); i < len(text); i++ { // every typing error of one character
		other := byte('0')
		if text[i] == '0' {
			other = '1'
		}
		near = append(near, text[:i]+string(other)+text[i+1:])
	}
	for i := len(tokenMark); i+1 < len(text); i++ { // and every two that were swapped
		if text[i] != text[i+1] {
			near = append(near, text[:i]+string(text[i+1])+string(text[i])+text[i+2:])
		}
	}
	for _, n := range near {
		if wellFormed(n) {
			t.Errorf("a text that differs from a token is taken for one")
		}
		if bytes.Equal(digestOf(n), digestOf(text)) {
			t.Errorf("two texts have one digest")
		}
	}
	if sum := sha256.Sum256([]byte(text)); !bytes.Equal(digestOf(text), sum[:]) {
		t.Error("the digest is not SHA-256 of the whole text")
	}
}

// TestRandomCharactersAreUniform is a chi-squared test at one in a million: 61
// degrees of freedom stay below 130. A bias of bytes taken modulo 62 gives about
// 250 here.
func TestRandomCharactersAreUniform(t *testing.T) {
	t.Parallel()
	const n = 62 * 4000
	counts := map[byte]int{}
	for _, c := range []byte(randomBase62(n)) {
		counts[c]++
	}
	if len(counts) != 62 {
		t.Fatalf("%d different characters", len(counts))
	}
	chi := 0.0
	for _, count := range counts {
		d := float64(count) - n/62
		chi += d * d / (n / 62)
	}
	if chi > 130 {
		t.Errorf("chi-squared is %.0f", chi)
	}
	for _, length := range []int{0, 1, 43} {
		if got := len(randomBase62(length)); got != length {
			t.Errorf("%d characters instead of %d", got, length)
		}
	}
}

func TestNetworksOfTokens(t *testing.T) {
	t.Parallel()
	good := map[string]string{
		"10.0.0.0/8": "10.0.0.0/8", "192.0.2.1": "192.0.2.1/32", "2001:db8::/32": "2001:db8::/32", "2001:DB8::1": "2001:db8::1/128",
		"::ffff:192.0.2.1": "192.0.2.1/32", "0.0.0.0/0": "0.0.0.0/0", "::/0": "::/0",
	}
	for text, want := range good {
		if got, err := canonicalCIDRs([]string{text}); err != nil || !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %v, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", " ", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0/8", "010.0.0.0/8", "localhost", "example.com", "10.0.0.0/8,::/0",
		"fe80::1%eth0", "fe80::%eth0/64", "::ffff:10.0.0.0/104", "10.0.0.0/08", " 10.0.0.0/8", "2001:db8::1/32",
	} {
		if got, err := canonicalCIDRs([]string{"192.0.2.0/24", text}); err == nil {
			t.Errorf("%q is taken as %v", text, got)
		} else if !strings.Contains(err.Error(), "allowed_cidrs.1") {
			t.Errorf("%q: the message does not say which one: %v", text, err)
		}
	}
	if _, err := canonicalCIDRs(slices.Repeat([]string{"::1"}, maxCIDRs+1)); err == nil {
		t.Error("too many networks are taken")
	}
	for _, c := range []struct {
		cidrs, address string
		want           bool
	}{
		{"", "192.0.2.1", true},
		{"", "", true},
		{"10.0.0.0/8", "10.255.255.255", true},
		{"10.0.0.0/8", "11.0.0.0", false},
		{"10.0.0.0/8", "::ffff:10.1.2.3", true},
		{"10.0.0.0/8,2001:db8::/32", "2001:db8:ffff::1", true},
		{"10.0.0.0/8,2001:db8::/32", "2001:db9::1", false},
		{"fe80::/10", "fe80::1%eth0", true},
		{"0.0.0.0/0", "::1", false},
		{"0.0.0.0/0,::/0", "", false}, // an address that is not known is in no network
		{"nonsense", "10.0.0.1", false},
	} {
		var address netip.Addr
		if c.address != "" {
			address = netip.MustParseAddr(c.address)
		}
		if got := addressAllowed(c.cidrs, address); got != c.want {
			t.Errorf("%s in %s: %v", c.address, c.cidrs, got)
		}
	}
}

func TestCanonicalAddresses(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"ann@example.com": "ann@example.com", "Ann.B+Tag@EXAMPLE.Com": "ann.b+tag@example.com", "o'neil@example.co.uk": "o'neil@example.co.uk",
		"ann@bücher.example": "ann@xn--bcher-kva.example", "ann@BÜCHER.example": "ann@xn--bcher-kva.example",
		"ann@xn--bcher-kva.example": "ann@xn--bcher-kva.example", "ann@localhost": "ann@localhost", "a@b.c": "a@b.c",
		"ann@[192.0.2.1]": "ann@[192.0.2.1]", "ann@[IPv6:2001:DB8::1]": "ann@[IPv6:2001:db8::1]", "ann@[IPv6:2001:db8:0::1]": "ann@[IPv6:2001:db8::1]",
		"ann@ｅｘａｍｐｌｅ.com": "ann@example.com", "!#$%&'*+-/=?^_`{|}~@example.com": "!#$%&'*+-/=?^_`{|}~@example.com",
		strings.Repeat("a", 64) + "@example.com": strings.Repeat("a", 64) + "@example.com",
	} {
		got, problem := canonicalEmail(address)
		if got != want || problem != "" {
			t.Errorf("%q: %q, %s, want %q", address, got, problem, want)
		}
		if again, _ := canonicalEmail(got); again != got {
			t.Errorf("%q is not canonical: it becomes %q", got, again)
		}
	}
	for _, address := range []string{
		"", "ann", "@example.com", "ann@", "ann@@example.com", "ann example@example.com", " ann@example.com", "ann@example.com ",
		"ann@example.com\n", "ann\x00@example.com", "ann@exa mple.com", "ann@example..com", "ann@example.com.", ".ann@example.com",
		"ann.@example.com", "an..n@example.com", "änn@example.com", "ann@-example.com", "ann@exam_ple.com", "\"ann\"@example.com",
		"ann@[192.0.2.1", "ann@[192.0.2]", "ann@[fe80::1%eth0]", "ann@example.com,bob@example.com", "ann<x@example.com>",
		"ann@example.com\u202e", "\u212a@example.com", "a\u017fk@example.com", "ann@exa\u0000mple.com",
		strings.Repeat("a", 65) + "@example.com", "ann@" + strings.Repeat("a", 250) + ".com",
		"ann@" + strings.Repeat("a", 64) + ".com", "ann@" + strings.Repeat("ü.", 40) + strings.Repeat("aaaaaaaaaaaa.", 10) + "com",
	} {
		if got, problem := canonicalEmail(address); problem == "" {
			t.Errorf("%q is taken as %q", address, got)
		}
	}
}

func TestClientTextsAreClipped(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"curl/8":                       "curl/8",
		"a\r\nb\x00c\x7fd\xffe":        "abcde",
		strings.Repeat("ü", 400):       strings.Repeat("ü", maxAuditText),
		"\x1b]0;title\x07agent \u00e9": "]0;titleagent é",
		"\u009b31mred":                 "31mred",
	} {
		if got := clip(text); got != want {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}

func TestValuesOfThisPackagePrintAsRedacted(t *testing.T) {
	t.Parallel()
	token := newToken()
	for _, form := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		for _, v := range []any{token, api.PersonalToken{Token: &token}, edit{value: &token}} {
			if text := fmt.Sprintf(form, v); strings.Contains(text, token.Reveal()[:12]) {
				t.Errorf("%s prints a token", form)
			}
		}
	}
}
