package rest

import (
	"errors"
	"strings"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
)

func TestCutGivesEveryResultOnce(t *testing.T) {
	all := api.Page[string]{Results: strings.Split("a,b,c,d,e", ",")}
	self := func(s string) string { return s }
	for limit := 1; limit <= 6; limit++ {
		var got []string
		p := page{Limit: limit}
		for pages := 0; ; pages++ {
			part, err := cut(all, p, self)
			if err != nil || pages > 5 || len(part.Results) > limit {
				t.Fatalf("limit %d: %v after %d pages", limit, err, pages)
			}
			got = append(got, part.Results...)
			if part.Next == nil {
				break
			}
			p.Cursor = *part.Next
		}
		if strings.Join(got, "") != "abcde" {
			t.Errorf("limit %d: got %v", limit, got)
		}
	}
	for _, bad := range []page{{Cursor: "x"}, {Limit: 1001}} {
		if _, err := cut(all, bad, self); !errors.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if part, err := cut(api.Page[string]{Results: []string{}}, page{}, self); err != nil || part.Results == nil {
		t.Errorf("an empty list: %v, %v", part.Results, err)
	}
}
