package api

import (
	"strings"
	"testing"
)

func TestRules(t *testing.T) {
	long := strings.Repeat("a", 64)
	for _, c := range []struct {
		name  string
		check func(string) string
		good  []string
		bad   []string
	}{
		{"key", CheckKey, []string{"A", "_", "a1_B", strings.Repeat("K", 255)}, []string{"", "1A", "A-B", "A.B", "A B", "É", "A\n", strings.Repeat("K", 256)}},
		{"slug", CheckSlug, []string{"a", "a-b", "0", long[:63]}, []string{"", "-a", "a-", "A", "a_b", "a b", "a/b", "..", long}},
		{"name", CheckName, []string{"a", "Zoë & Co. <x>", strings.Repeat("é", 100), "می\u200cخواهم", "👩\u200d💻"}, []string{"", "  ", "\u200d", "\u3164", "a\u200bb", "a\ufeffb", "a\u200eb", "a\u061cb", "a\u00adb", "a\U000E0041b", "a\r\nBcc: x", "a\x1b[31m", "a\u202eb", "\xff", strings.Repeat("é", 101)}},
		{"text", CheckText, []string{"", "two\nlines\t"}, []string{"\x00", "\x1b]0;x\x07", strings.Repeat("a", 1001)}},
		{"value", func(s string) string { return CheckValue(NewValue(s)) }, []string{"", "\r\n", strings.Repeat("v", 64<<10)}, []string{"a\x00b", "a\xff", strings.Repeat("v", 64<<10+1)}},
	} {
		for _, s := range c.good {
			if m := c.check(s); m != "" {
				t.Errorf("%s %.20q: %s", c.name, s, m)
			}
		}
		for _, s := range c.bad {
			if c.check(s) == "" {
				t.Errorf("%s %.20q was accepted", c.name, s)
			}
		}
	}
}

func TestSlugify(t *testing.T) {
	for name, want := range map[string]string{
		"My App": "my-app", "  --a!!b  ": "a-b", "Ünï": "n", "日本": "", "A": "a",
		strings.Repeat("ab ", 40): strings.TrimSuffix(strings.Repeat("ab-", 21), "-"),
	} {
		got := Slugify(name)
		if got != want || got != "" && CheckSlug(got) != "" {
			t.Errorf("Slugify(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestRanks(t *testing.T) {
	for i, lower := range Roles() {
		for j, higher := range Roles() {
			if higher.AtLeast(lower) != (j >= i) {
				t.Errorf("%s.AtLeast(%s) is wrong", higher, lower)
			}
		}
	}
	for _, r := range []Role{"", "Owner", "owner ", "OWNER", "root"} {
		if r.Valid() || r.AtLeast(RoleViewer) {
			t.Errorf("%q counts as a role", r)
		}
	}
	if !AccessWrite.AtLeast(AccessRead) || AccessRead.AtLeast(AccessWrite) || Access("").AtLeast(AccessRead) || Access("x").AtLeast("x") {
		t.Error("access ranks are wrong")
	}
}
