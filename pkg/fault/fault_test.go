package fault

import (
	"errors"
	"fmt"
	"testing"
)

func TestKindSurvivesTheWire(t *testing.T) {
	for k := range Kind(len(table)) {
		if k == Usage { // shares 400 with Invalid and never travels
			continue
		}
		if got := FromStatus(k.Status()); got != k {
			t.Errorf("FromStatus(%d) = %v, want %v", k.Status(), got, k)
		}
	}
	if got := FromStatus(299); got != Internal {
		t.Errorf("an unknown status is %v, want Internal", got)
	}
}

func TestErrorShowsTheMessageAndHidesTheCause(t *testing.T) {
	cause := errors.New("dial tcp 10.0.0.7: password=hunter2")
	err := fmt.Errorf("load: %w", Wrap(Unavailable, cause, "The database can not be reached."))
	if got := As(err).Error(); got != "The database can not be reached." {
		t.Errorf("message = %q", got)
	}
	if !errors.Is(err, Unavailable) || errors.Is(err, NotFound) || !errors.Is(err, cause) {
		t.Error("errors.Is does not see the kind or the cause")
	}
	if got := Detail(err); got != "load: The database can not be reached.: "+cause.Error() {
		t.Errorf("Detail = %q", got)
	}
}

func TestKindOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Kind
	}{
		{errors.New("plain"), Internal},
		{NotFound, NotFound},
		{fmt.Errorf("x: %w", New(Conflict, "c")), Conflict},
		{Wrap(Invalid, New(Unavailable, "inner"), "outer"), Invalid},
		{Kind(99), Kind(99)},
	} {
		if got := KindOf(c.err); got != c.want {
			t.Errorf("KindOf(%v) = %v, want %v", c.err, got, c.want)
		}
	}
	if Kind(99).Status() != 500 || Kind(99).ExitCode() != 1 {
		t.Error("an unknown kind is not treated as Internal")
	}
}
