package vault_test

import (
	"fmt"
	"math/rand"
	"slices"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

// diary makes random edits in an environment and notes what it was after each
// revision.
type diary struct {
	*house
	t      *testing.T
	random *rand.Rand
	clock  time.Time
	states []map[string]string // by revision: key -> value and comment
	at     []time.Time         // by revision: when it came
	by     []int               // by revision: how many secrets it changed
}

// eachDiary runs test in a house with a clock of its own.
func eachDiary(t *testing.T, retention vault.Retention, test func(t *testing.T, d *diary)) {
	t.Helper()
	eachPlace(t, func(t *testing.T, p place) {
		seed := time.Now().UnixNano()
		t.Logf("seed %d", seed)
		d := &diary{t: t, random: rand.New(rand.NewSource(seed)), clock: time.Now().UTC().Truncate(time.Second)}
		p.now, p.retention = func() time.Time { return d.clock }, retention
		d.house = p.house(t)
		d.note()
		test(t, d)
	})
}

func (d *diary) now() map[string]string {
	d.t.Helper()
	return stateOf(must(d.SecretsWithValues(d.t.Context(), d.ann, development)))
}

func stateOf(list api.SecretList) map[string]string {
	state := map[string]string{}
	for _, s := range list.Results {
		state[s.Key] = s.Value.Reveal() + "|" + s.Comment
	}
	return state
}

func (d *diary) revision() int64 {
	d.t.Helper()
	return must(d.Environment(d.t.Context(), d.ann, development)).Revision
}

// note writes down the present state if it is a new revision.
func (d *diary) note() {
	d.t.Helper()
	switch revision := d.revision(); {
	case int(revision) == len(d.states):
		d.states, d.at = append(d.states, d.now()), append(d.at, d.clock)
		if revision > 0 {
			d.by = append(d.by, differences(d.states[revision-1], d.states[revision]))
		} else {
			d.by = append(d.by, 0)
		}
	case int(revision) != len(d.states)-1:
		d.t.Fatalf("the revision went from %d to %d", len(d.states)-1, revision)
	}
}

func differences(a, b map[string]string) (n int) {
	for key, value := range a {
		if other, there := b[key]; !there || other != value {
			n++
		}
	}
	for key := range b {
		if _, there := a[key]; !there {
			n++
		}
	}
	return n
}

func (d *diary) key() string { return fmt.Sprintf("K%d", d.random.Intn(6)) }

// step makes one edit, or tries to, a minute after the last.
func (d *diary) step() {
	d.t.Helper()
	ctx, key := d.t.Context(), d.key()
	d.clock = d.clock.Add(time.Minute)
	value, comment := api.NewValue(fmt.Sprint("value ", d.random.Intn(5))), fmt.Sprint("comment ", d.random.Intn(2))
	var err error
	switch d.random.Intn(8) {
	case 0, 1, 2:
		_, _, err = d.PutSecret(ctx, d.ann, in(development, key), api.PutSecret{Value: &value, Comment: &comment}, vault.Match{})
	case 3:
		_, err = d.PatchSecret(ctx, d.ann, in(development, key), api.PatchSecret{Key: ptr(d.key())}, vault.Match{})
	case 4:
		err = d.DeleteSecret(ctx, d.ann, in(development, key), vault.Match{})
	case 5:
		_, err = d.Bulk(ctx, d.ann, development, api.BulkRequest{Set: map[string]api.Value{key: value}, Unset: []string{"K9"}}, vault.Match{})
	case 6:
		d.rollBack(key)
	case 7:
		d.restore(int64(d.random.Intn(len(d.states))))
	}
	if err != nil && fault.KindOf(err) != fault.NotFound && fault.KindOf(err) != fault.Conflict {
		d.t.Fatal(fault.Detail(err))
	}
	d.note()
}

// rollBack goes back to a random version of a secret, and compares with what the
// version says.
func (d *diary) rollBack(key string) {
	d.t.Helper()
	page, err := d.SecretVersions(d.t.Context(), d.ann, in(development, key), "", 0)
	if err != nil {
		isKind(d.t, "versions of "+key, err, fault.NotFound)
		return
	}
	version := page.Results[d.random.Intn(len(page.Results))]
	former, readErr := d.SecretVersion(d.t.Context(), d.ann, in(development, key), version.Version)
	got, err := d.RollBack(d.t.Context(), d.ann, in(development, key), api.RollbackRequest{Version: version.Version}, vault.Match{})
	if version.Deleted {
		isKind(d.t, "reading a deletion", readErr, fault.NotFound)
		isKind(d.t, "rolling back to a deletion", err, fault.NotFound)
		return
	}
	if err != nil || readErr != nil {
		d.t.Fatal(err, readErr)
	}
	equal(d.t, "comment", got.Comment, former.Comment)
	equal(d.t, "value", d.get(d.t, key), former.Value.Reveal())
}

// restore goes back to a revision: by a dry run, which changes nothing and tells
// the same, and then really.
func (d *diary) restore(revision int64) {
	d.t.Helper()
	before := d.revision()
	plan, err := d.Restore(d.t.Context(), d.ann, development, api.RestoreRequest{Revision: &revision, DryRun: true}, vault.Match{})
	if err != nil {
		isKind(d.t, "restoring", err, fault.Gone)
		return
	}
	equal(d.t, "revision after a dry run", d.revision(), before)
	result := must(d.Restore(d.t.Context(), d.ann, development, api.RestoreRequest{Revision: &revision}, vault.Match{Revision: &before}))
	plan.DryRun, plan.Revision = false, result.Revision
	equal(d.t, "what was planned", plan, result)
	equal(d.t, fmt.Sprintf("the state of revision %d", revision), d.now(), d.states[revision])
}

// compare looks at every revision that can be told, and sees that the others are
// refused.
func (d *diary) compare(oldest int) {
	d.t.Helper()
	for i := range d.states {
		revision := int64(i)
		list, err := d.SecretsAt(d.t.Context(), d.ann, development, vault.Moment{Revision: &revision}, true)
		if i < oldest {
			isKind(d.t, fmt.Sprintf("revision %d of %d", i, oldest), err, fault.Gone)
			continue
		}
		if err != nil {
			d.t.Fatal(fault.Detail(err))
		}
		equal(d.t, fmt.Sprintf("revision %d", i), stateOf(list), d.states[i])
		if i+1 < len(d.at) { // just before the next one came
			at := d.at[i+1].Add(-time.Microsecond)
			list = must(d.SecretsAt(d.t.Context(), d.ann, development, vault.Moment{At: &at}, true))
			equal(d.t, "revision at that time", list.Revision, revision)
			equal(d.t, "state at that time", stateOf(list), d.states[i])
		}
		if d.t.Failed() {
			d.t.FailNow()
		}
	}
}

// revisions reads all pages.
func (d *diary) revisions() (all []api.EnvironmentRevision) {
	d.t.Helper()
	cursor := ""
	for {
		page := must(d.Revisions(d.t.Context(), d.ann, development, cursor, 7))
		all = append(all, page.Results...)
		if page.Next == nil {
			return all
		}
		cursor = *page.Next
	}
}

func TestEveryRevisionCanBeTold(t *testing.T) {
	t.Parallel()
	eachDiary(t, vault.Retention{}, func(t *testing.T, d *diary) {
		for range 120 {
			d.step()
		}
		d.compare(0)
		all := d.revisions()
		equal(t, "revisions", len(all), len(d.states)-1)
		for i, r := range all {
			revision := len(d.states) - 1 - i
			equal(t, "number", r.Revision, int64(revision))
			equal(t, "time", r.At.Equal(d.at[revision]), true)
			equal(t, "changes", len(r.Created)+len(r.Updated)+len(r.Deleted)+2*len(r.Renamed), d.by[revision])
		}
		future := int64(len(d.states))
		_, err := d.SecretsAt(t.Context(), d.ann, development, vault.Moment{Revision: &future}, false)
		isKind(t, "a revision to come", err, fault.NotFound)
	})
}

func TestVersionsComeInPages(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		for i := range 7 {
			h.put(t, "A", fmt.Sprint(i))
		}
		var got []int64
		cursor := ""
		for {
			page := must(h.SecretVersions(t.Context(), h.ann, in(development, "A"), cursor, 3))
			for _, v := range page.Results {
				got = append(got, v.Version)
			}
			if page.Next == nil {
				break
			}
			cursor = *page.Next
		}
		equal(t, "versions", got, []int64{7, 6, 5, 4, 3, 2, 1})
	})
}

// Retention removes the old end of the history and nothing else: what can still
// be told is right, and what can not is refused.
func TestRetentionRemovesOnlyTheOldEnd(t *testing.T) {
	t.Parallel()
	for name, retention := range map[string]vault.Retention{
		"by number": {Versions: 2}, "by age": {Age: 30 * time.Minute}, "both": {Versions: 3, Age: 20 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachDiary(t, retention, func(t *testing.T, d *diary) {
				for range 3 {
					for range 40 {
						d.step()
					}
					present := d.now()
					if err := d.Maintain(t.Context()); err != nil {
						t.Fatal(fault.Detail(err))
					}
					equal(t, "the present state", d.now(), present)
				}
				var oldest int
				if err := d.sql.QueryRowContext(t.Context(), "SELECT max(history_from) FROM environments").Scan(&oldest); err != nil {
					t.Fatal(err)
				}
				if oldest == 0 || oldest > len(d.states)-1 {
					t.Fatalf("the history is kept from %d of %d on", oldest, len(d.states)-1)
				}
				d.compare(oldest)
				excess := 0
				if retention.Versions > 0 {
					excess = d.count(t, fmt.Sprintf("secret_versions v JOIN secrets s ON s.id = v.secret_id WHERE v.version < s.version - %d", retention.Versions))
				}
				equal(t, "versions beyond the number", excess, 0)
				before := d.count(t, "secret_versions")
				if err := d.Maintain(t.Context()); err != nil {
					t.Fatal(err)
				}
				equal(t, "removed by a second run", before-d.count(t, "secret_versions"), 0)
				if n := d.count(t, "audit_events WHERE action = 'environment.history.prune'"); n == 0 {
					t.Error("nothing was audited")
				}
			})
		})
	}
}

func TestADeletionCanBeUndoneUntilItsHistoryHasRunOut(t *testing.T) {
	t.Parallel()
	eachDiary(t, vault.Retention{Age: 30 * 24 * time.Hour}, func(t *testing.T, d *diary) {
		d.put(t, "A", "value")
		d.clock = d.clock.Add(time.Hour)
		if err := d.DeleteSecret(t.Context(), d.ann, in(development, "A"), vault.Match{}); err != nil {
			t.Fatal(err)
		}
		d.clock = d.clock.Add(29 * 24 * time.Hour)
		d.ann = d.signIn(t, "ann@example.com", password)
		expire := func() {
			t.Helper()
			if err := d.Maintain(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		expire()
		deleted := must(d.DeletedSecrets(t.Context(), d.ann, development))
		equal(t, "deleted secrets", len(deleted.Results), 1)
		must(d.RollBack(t.Context(), d.ann, in(development, "A"), api.RollbackRequest{Version: 1}, vault.Match{}))
		equal(t, "value", d.get(t, "A"), "value")
		equal(t, "deleted secrets", len(must(d.DeletedSecrets(t.Context(), d.ann, development)).Results), 0)
		if err := d.DeleteSecret(t.Context(), d.ann, in(development, "A"), vault.Match{}); err != nil {
			t.Fatal(err)
		}
		d.clock = d.clock.Add(31 * 24 * time.Hour)
		d.ann = d.signIn(t, "ann@example.com", password)
		expire()
		equal(t, "deleted secrets at the end", len(must(d.DeletedSecrets(t.Context(), d.ann, development)).Results), 0)
		_, err := d.RollBack(t.Context(), d.ann, in(development, "A"), api.RollbackRequest{Version: 1}, vault.Match{})
		isKind(t, "rolling back", err, fault.NotFound)
		d.put(t, "A", "new") // numbering goes on
		equal(t, "version", must(d.Secret(t.Context(), d.ann, in(development, "A"))).Version, int64(5))
	})
}

// The history of a secret is only where its environment is.
func TestHistoryIsOfOneEnvironment(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		staging := vault.EnvironmentRef{Project: "shop", Environment: "staging"}
		h.put(t, "A", "of development")
		ci := h.service(t, api.AccessWrite, "staging")
		for what, err := range map[string]error{
			"versions": second(h.SecretVersions(t.Context(), h.ann, in(staging, "A"), "", 0)),
			"version":  second(h.SecretVersion(t.Context(), h.ann, in(staging, "A"), 1)),
			"rollback": second(h.RollBack(t.Context(), h.ann, in(staging, "A"), api.RollbackRequest{Version: 1}, vault.Match{})),

			"versions by a token":  second(h.SecretVersions(t.Context(), ci, in(development, "A"), "", 0)),
			"version by a token":   second(h.SecretVersion(t.Context(), ci, in(development, "A"), 1)),
			"revisions by a token": second(h.Revisions(t.Context(), ci, development, "", 0)),
			"state by a token":     second(h.SecretsAt(t.Context(), ci, development, vault.Moment{Revision: ptr(int64(1))}, true)),
			"deleted by a token":   second(h.DeletedSecrets(t.Context(), ci, development)),
			"restore by a token":   second(h.Restore(t.Context(), ci, development, api.RestoreRequest{Revision: ptr(int64(0))}, vault.Match{})),
		} {
			isKind(t, what, err, fault.NotFound)
		}
		equal(t, "value", h.get(t, "A"), "of development")
		equal(t, "revisions of staging", len(must(h.Revisions(t.Context(), h.ann, staging, "", 0)).Results), 0)
		for _, bad := range []vault.Moment{{}, {Revision: ptr(int64(0)), At: ptr(time.Now())}} {
			_, err := h.SecretsAt(t.Context(), h.ann, development, bad, false)
			isKind(t, "no moment, or two", err, fault.Invalid)
		}
	})
}

// Reading what was is audited as reading is.
func TestReadingHistoryIsAudited(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.put(t, "A", "one")
		h.put(t, "A", "two")
		reads := func() int { return h.count(t, "audit_events WHERE action = 'secret.read'") }
		before := reads()
		must(h.SecretVersion(t.Context(), h.ann, in(development, "A"), 1))
		must(h.SecretsAt(t.Context(), h.ann, development, vault.Moment{Revision: ptr(int64(1))}, true))
		equal(t, "audited reads", reads()-before, 2)
		must(h.SecretsAt(t.Context(), h.ann, development, vault.Moment{Revision: ptr(int64(1))}, false))
		must(h.SecretVersions(t.Context(), h.ann, in(development, "A"), "", 0))
		equal(t, "without values", reads()-before, 2)
		must(h.Restore(t.Context(), h.ann, development, api.RestoreRequest{Revision: ptr(int64(1)), DryRun: true}, vault.Match{}))
		equal(t, "a comparison", reads()-before, 3)
		must(h.Restore(t.Context(), h.ann, development, api.RestoreRequest{Revision: ptr(int64(1))}, vault.Match{}))
		equal(t, "restores", h.count(t, "audit_events WHERE action = 'environment.restore'"), 1)
		must(h.RollBack(t.Context(), h.ann, in(development, "A"), api.RollbackRequest{Version: 2}, vault.Match{}))
		equal(t, "rollbacks", h.count(t, `audit_events WHERE detail LIKE '%"rolled_back_to":"2"%'`), 1)
	})
}

// One value that does not open fails the restoring as a whole.
func TestRestoringIsAllOrNothing(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.put(t, "A", "one")
		h.put(t, "B", "one")
		h.put(t, "A", "two")
		h.put(t, "B", "two")
		h.exec(t, "UPDATE secret_versions SET sealed = 'x' WHERE key = 'B'")
		before := h.dump(t)
		_, err := h.Restore(t.Context(), h.ann, development, api.RestoreRequest{Revision: ptr(int64(2))}, vault.Match{})
		if err == nil || !slices.Contains([]fault.Kind{fault.Internal}, fault.KindOf(err)) {
			t.Fatal(err)
		}
		equal(t, "unchanged", h.dump(t) == before, true)
		stale := int64(3)
		_, err = h.Restore(t.Context(), h.ann, development, api.RestoreRequest{Revision: ptr(int64(0))}, vault.Match{Revision: &stale})
		isKind(t, "at a former revision", err, fault.PreconditionFailed)
	})
}

// A page of revisions ends early when they name many secrets, and never in the
// middle of one.
func TestLargeRevisionsComeWhole(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		const bulks, each = 11, api.MaxSecretsPerBulk
		for i := range bulks {
			set := map[string]api.Value{}
			for k := range each {
				set[fmt.Sprintf("K%d", k)] = api.NewValue(fmt.Sprint(i))
			}
			must(h.Bulk(t.Context(), h.ann, development, api.BulkRequest{Set: set}, vault.Match{}))
		}
		var sizes []int
		pages := 0
		for cursor := ""; ; pages++ {
			page := must(h.Revisions(t.Context(), h.ann, development, cursor, 0))
			for _, r := range page.Results {
				sizes = append(sizes, len(r.Created)+len(r.Updated))
			}
			if page.Next == nil {
				break
			}
			cursor = *page.Next
		}
		equal(t, "changes of each", sizes, slices.Repeat([]int{each}, bulks))
		equal(t, "pages before the last", pages, 1)
	})
}
