//go:build unix

package soak

import (
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/keyring"
)

const (
	rotatedSecrets = 1000
	rotationBatch  = 10
)

// rotate is the command that begins a rotation or goes on with one; with a flag,
// that ends it.
func rotate(end ...string) []string {
	args := append([]string{"rotate-key", "--batch-size", fmt.Sprint(rotationBatch)}, end...)
	if len(end) == 0 {
		args = append(args, "--no-backup")
	}
	return args
}

// crash runs a command that kills itself at a place, and reports whether it got
// there. If not, it must have succeeded. The program is the crashing one.
func (i *installation) crash(t *testing.T, place string, args ...string) (reached bool) {
	t.Helper()
	cmd := i.command(t, args...)
	cmd.Env = append(cmd.Env, "HEARTLOCK_TEST_CRASH_AT="+place)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return false
	}
	if cmd.ProcessState.Exited() {
		t.Fatalf("%s, to be killed at %s: %v\n%s", strings.Join(args, " "), place, err, out)
	}
	return true
}

// killings are the kills of one command in one state of an installation.
type killings struct {
	from                                          *installation
	command                                       []string
	goOn                                          []string                            // goes on after the kill
	state                                         func(t *testing.T, s keyState) bool // whether the status may look like this, as long as a rotation is under way
	goal                                          func(t *testing.T, i *installation) // what has to be reached in the end
	unreadable, pythonUnreadable, kills, notShown int                                 // the outcome
}

// at kills the command at a place, on a copy, and goes on. It reports whether
// the place was reached.
func (k *killings) at(t *testing.T, place string) (reached bool) {
	t.Helper()
	t.Run(place, func(t *testing.T) {
		i := k.from.copied(t)
		if reached = i.crash(t, place, k.command...); !reached {
			return
		}
		k.kills++
		v := i.serve(t)
		k.unreadable += i.unreadable(t, v)
		if k.kills%5 == 1 {
			k.pythonUnreadable += i.unreadableByPython(t)
		}
		if !k.state(t, i.status(t)) || place != "rotate:unannounced" && !i.interrupted(t) {
			k.notShown++
		}
		i.mustRun(t, "", k.goOn...)
		k.unreadable += i.unreadable(t, v)
		k.goal(t, i)
		v.stop(t)
	})
	return reached
}

// everywhere kills at each of the steps, and in every stride-th batch before,
// inside and after its transaction, until there is no such batch any more.
func (k *killings) everywhere(t *testing.T, stride int, steps ...string) {
	t.Helper()
	for _, step := range steps {
		if !k.at(t, "rotate:"+step) {
			t.Errorf("the command does not come to rotate:%s", step)
		}
	}
	for n := 1; k.at(t, fmt.Sprintf("rotate:%d:before", n)); n += stride {
		for _, when := range []string{"mid", "after"} {
			if !k.at(t, fmt.Sprintf("rotate:%d:%s", n, when)) {
				t.Errorf("the command does not come to the batch %d, %s", n, when)
			}
		}
	}
}

func (k *killings) report(t *testing.T, name string, atLeast int) {
	t.Helper()
	name = k.from.engine() + ", " + name + " killed at every place: "
	if !measured.add(name+"kills", k.kills >= atLeast, fmt.Sprint(atLeast), "%d", k.kills) {
		t.Errorf("%d kills", k.kills)
	}
	if !measured.add(name+"values unreadable, by Python, state not shown", k.unreadable+k.pythonUnreadable+k.notShown == 0, "0, 0, 0",
		"%d, %d, %d", k.unreadable, k.pythonUnreadable, k.notShown) {
		t.Errorf("%d values unreadable by the server, %d by Python; %d times the state was not shown", k.unreadable, k.pythonUnreadable, k.notShown)
	}
}

// TestKilledWhileRotating kills rotate-key at every step and in every batch.
// After each kill a server with what the settings files hold reads every value,
// and the command that is run again ends as if it had never been killed.
func TestKilledWhileRotating(t *testing.T) {
	parallel(t)
	eachInstallation(t, crashing, rotatedSecrets, func(t *testing.T, i *installation) {
		_, keys := i.keys(t)
		former, all := keys[0], len(i.sealed(t))
		k := &killings{from: i, command: rotate(), goOn: rotate()}
		k.state = func(t *testing.T, s keyState) bool { return underWay(s, former, false, all) }
		k.goal = func(t *testing.T, i *installation) { i.isRotated(t, former, all) }
		stride, batches := 60, 2
		if *soak {
			stride, batches = 1, 100
		}
		k.everywhere(t, stride, "unannounced", "announced", "begun", "verified")
		k.report(t, "rotate-key", 4+3*batches)
	})
}

// underWay reports whether the status shows a rotation that was interrupted: the
// rotation, or before that the key that was announced.
func underWay(s keyState, former string, undo bool, all int) bool {
	r := s.Rotation
	if r == nil {
		return !undo && s.seals() == former
	}
	return r.Undo == undo && (r.From == former) == !undo && r.Remaining >= 0 && r.Remaining <= all
}

// isRotated fails the test unless everything is under a new key, verified, and
// another run finds nothing to do.
func (i *installation) isRotated(t *testing.T, former string, all int) {
	t.Helper()
	s := i.status(t)
	if s.Rotation == nil || s.Rotation.From != former || s.Rotation.Remaining != 0 || s.Rotation.Verified == nil || s.seals() != s.Rotation.To {
		t.Errorf("the rotation is not done: %+v", s)
		return
	}
	before := i.sealed(t)
	if under := i.under(t); under[s.Rotation.To] != all || len(under) != 1 {
		t.Errorf("the values are under the keys %v, want %d under %s", under, all, s.Rotation.To)
	}
	if e := i.run(t, "", rotate()...); e.code != 0 || !strings.Contains(e.err, "done and verified") {
		t.Errorf("another run: exit code %d\n%s", e.code, e.err)
	}
	if !slices.Equal(i.sealed(t), before) {
		t.Error("another run has changed values")
	}
}

// TestKilledWhileFinishing kills the end of a rotation, and the way back.
func TestKilledWhileFinishing(t *testing.T) {
	parallel(t)
	eachInstallation(t, crashing, rotatedSecrets/10, func(t *testing.T, i *installation) {
		_, keys := i.keys(t)
		former, all := keys[0], len(i.sealed(t))
		i.mustRun(t, "", rotate()...)
		_, keys = i.keys(t)
		renewed := keys[0]

		finish := &killings{from: i, command: rotate("--finish"), goOn: rotate("--finish")}
		finish.state = func(t *testing.T, s keyState) bool { return s.seals() == renewed }
		finish.goal = func(t *testing.T, i *installation) { i.hasOnly(t, renewed, all, former) }
		finish.everywhere(t, 1, "finished", "saved")
		finish.report(t, "rotate-key --finish", 2)

		undo := &killings{from: i, command: rotate("--undo"), goOn: rotate("--undo")}
		undo.state = func(t *testing.T, s keyState) bool {
			return s.seals() == former && (s.Rotation == nil || underWay(s, former, true, all))
		}
		undo.goal = func(t *testing.T, i *installation) { i.hasOnly(t, former, all, renewed) }
		stride, batches := 100, 1
		if *soak {
			stride, batches = 1, all/rotationBatch
		}
		undo.everywhere(t, stride, "verified", "undone", "saved")
		undo.report(t, "rotate-key --undo", 3+3*batches)
	})
}

// hasOnly fails the test unless one key is left, in the settings and in use, and
// the other is kept aside.
func (i *installation) hasOnly(t *testing.T, key string, all int, aside string) {
	t.Helper()
	if _, keys := i.keys(t); !slices.Equal(keys, []string{key}) {
		t.Errorf("the settings hold the keys %v, want %s", keys, key)
	}
	if under := i.under(t); under[key] != all || len(under) != 1 {
		t.Errorf("the values are under the keys %v, want %d under %s", under, all, key)
	}
	if s := i.status(t); s.Rotation != nil || s.seals() != key {
		t.Errorf("the state is %+v", s)
	}
	files := i.former(t)
	if len(files) != 1 {
		t.Errorf("%d keys are kept aside", len(files))
		return
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if k, err := keyring.ParseKey(strings.TrimSpace(string(text))); err != nil || k.Fingerprint() != aside {
		t.Errorf("%s is not the key %s (%v)", filepath.Base(files[0]), aside, err)
	}
}

// TestKilledWhileRotatingBlindly kills rotations, their ends and undoings at
// random moments, one after the other on one installation.
func TestKilledWhileRotatingBlindly(t *testing.T) {
	parallel(t)
	eachInstallation(t, crashing, rotatedSecrets, func(t *testing.T, i *installation) {
		kills, unreadable, unreadableByPython, all := 6, 0, 0, len(i.sealed(t))
		if *soak {
			kills = 100
		}
		span := 400 * time.Millisecond // about as long as a command takes, adapted as it goes on
		done, killed := 0, 0
		for killed < kills {
			args := i.nextStep(t)
			cmd := i.command(t, args...)
			start := time.Now()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			timer := time.AfterFunc(time.Duration(rand.Int63n(int64(span))), func() { _ = cmd.Process.Kill() })
			err := cmd.Wait()
			timer.Stop()
			switch {
			case err == nil:
				done++
				span = (3*span + time.Since(start)) / 4
				continue
			case cmd.ProcessState.Exited():
				t.Fatalf("%s: %v", strings.Join(args, " "), err)
			}
			killed++
			v := i.serve(t)
			unreadable += i.unreadable(t, v)
			v.stop(t)
			if killed%5 == 0 {
				unreadableByPython += i.unreadableByPython(t)
			}
		}
		name := i.engine() + ", rotate-key killed at random: "
		measured.add(name+"kills, commands that were not", killed >= kills, fmt.Sprint(kills), "%d, %d", killed, done)
		if !measured.add(name+"values unreadable, by Python", unreadable+unreadableByPython == 0, "0, 0", "%d, %d", unreadable, unreadableByPython) {
			t.Errorf("%d values unreadable by the server, %d by Python", unreadable, unreadableByPython)
		}
		if n := len(i.sealed(t)); n != all {
			t.Errorf("%d sealed values, there were %d", n, all)
		}
		i.isUsable(t)
	})
}

// nextStep chooses a command for the state that the rotation is in.
func (i *installation) nextStep(t *testing.T) []string {
	t.Helper()
	r := i.status(t).Rotation
	switch {
	case r != nil && r.Undo:
		return rotate("--undo")
	case r != nil && r.Verified != nil && r.Remaining == 0 && rand.Intn(2) == 0:
		return rotate("--finish")
	case r != nil && rand.Intn(4) == 0:
		return rotate("--undo")
	case r != nil && r.Verified != nil && r.Remaining == 0:
		return rotate("--finish")
	}
	return rotate()
}

// isUsable brings the rotation to its end and sees that nothing is missing.
func (i *installation) isUsable(t *testing.T) {
	t.Helper()
	if r := i.status(t).Rotation; r != nil && r.Undo {
		i.mustRun(t, "", rotate("--undo")...)
	}
	i.mustRun(t, "", rotate()...)
	v := i.serve(t)
	i.mustRun(t, "", rotate("--finish")...)
	if n := i.unreadable(t, v) + i.unreadableByPython(t); n > 0 {
		t.Errorf("%d values can not be read in the end", n)
	}
	if got := i.remember(t, v.client(t, i.owner)); got != i.remembered {
		t.Error("the remembered answer is another")
	}
	if len(i.under(t)) != 1 {
		t.Errorf("the values are under %v", i.under(t))
	}
	v.stop(t)
	if i.postgres == nil {
		integrity(t, i.data("db.sqlite3"))
	}
}

// TestAWrongKeyRotatesNothing: with a key that is not the database's, rotate-key
// fails before it has changed anything.
func TestAWrongKeyRotatesNothing(t *testing.T) {
	parallel(t)
	eachInstallation(t, crashing, 20, func(t *testing.T, i *installation) {
		before := i.sealed(t)
		right := i.environ
		for name, environ := range map[string][]string{
			"in the environment":   {"HEARTLOCK_ENCRYPTION_KEY=" + keyring.Generate().Encode()},
			"two wrong ones":       {"HEARTLOCK_ENCRYPTION_KEY=" + keyring.Generate().Encode() + "," + keyring.Generate().Encode()},
			"in the settings file": nil,
		} {
			if environ == nil {
				i.putWrongKey(t)
			}
			i.environ = slices.Concat(right, environ)
			for _, args := range [][]string{rotate(), rotate("--finish"), rotate("--undo")} {
				if e := i.run(t, "", args...); e.code == 0 || e.err == "" {
					t.Errorf("%s, %s: exit code %d\n%s", name, strings.Join(args, " "), e.code, e.err)
				}
			}
			if !slices.Equal(i.sealed(t), before) {
				t.Errorf("%s: values were changed", name)
			}
			i.environ = right
		}
	})
}

// putWrongKey replaces the key in the settings file.
func (i *installation) putWrongKey(t *testing.T) {
	t.Helper()
	encoded, _ := i.keys(t)
	found := false
	for _, name := range []string{"secret.key", "appconfig.json"} {
		text, err := os.ReadFile(i.data(name))
		if err != nil || !strings.Contains(string(text), encoded[0]) {
			continue
		}
		found = true
		text = []byte(strings.ReplaceAll(string(text), encoded[0], keyring.Generate().Encode()))
		if err := os.WriteFile(i.data(name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if !found {
		t.Fatal("no settings file holds the key")
	}
}
