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

// model is what an environment should be, as simply as it can be said: a list
// of secrets, deleted ones included.
type model struct {
	revision int64
	secrets  []*modelSecret
	kept     int // former versions
}

type modelSecret struct {
	key, value, comment string
	live                bool
	version, changed    int64 // changed: the revision of its last change
}

func (m *model) live(key string) *modelSecret {
	for _, s := range m.secrets {
		if s.live && s.key == key {
			return s
		}
	}
	return nil
}

// deleted is the secret that had the key last.
func (m *model) deleted(key string) (last *modelSecret) {
	for _, s := range m.secrets {
		if !s.live && s.key == key && (last == nil || s.changed > last.changed) {
			last = s
		}
	}
	return last
}

// set makes one edit at a new revision and says what it did.
func (m *model) set(key, value string, comment *string) string {
	s := m.live(key)
	if s == nil {
		if s = m.deleted(key); s == nil {
			s = &modelSecret{key: key}
			m.secrets = append(m.secrets, s)
		} else {
			m.kept++
		}
		s.live, s.value, s.comment = true, value, ""
		if comment != nil {
			s.comment = *comment
		}
		s.version, s.changed = s.version+1, m.revision+1
		return "created"
	}
	if s.value == value && (comment == nil || *comment == s.comment) {
		return "unchanged"
	}
	s.value = value
	if comment != nil {
		s.comment = *comment
	}
	m.touch(s)
	return "updated"
}

func (m *model) unset(key string) string {
	s := m.live(key)
	if s == nil {
		return "unchanged"
	}
	s.live = false
	m.touch(s)
	return "deleted"
}

// touch makes a new version at the next revision.
func (m *model) touch(s *modelSecret) {
	s.version, s.changed = s.version+1, m.revision+1
	m.kept++
}

func (m *model) clone() *model {
	c := &model{revision: m.revision, kept: m.kept}
	for _, s := range m.secrets {
		copied := *s
		c.secrets = append(c.secrets, &copied)
	}
	return c
}

// walk is one random sequence of edits on a real environment and its model.
type walk struct {
	*house
	*model
	t      *testing.T
	random *rand.Rand
}

func (w *walk) key() string { return fmt.Sprintf("K%d", w.random.Intn(7)) }

func (w *walk) value() string { return []string{"", "a", "b", "line\r\n"}[w.random.Intn(4)] }

func (w *walk) comment() *string {
	return []*string{nil, ptr(""), ptr("a comment"), ptr("another\nline")}[w.random.Intn(4)]
}

func ptr[T any](v T) *T { return &v }

// match is a condition for a key and whether it holds.
func (w *walk) match(key string) (m vault.Match, holds bool) {
	s := w.live(key)
	switch off := int64(w.random.Intn(2)); w.random.Intn(8) {
	case 0:
		return vault.Match{Exists: true}, s != nil
	case 1:
		return vault.Match{Absent: true}, s == nil
	case 2:
		return vault.Match{Revision: ptr(w.revision + off)}, off == 0
	case 3:
		if s == nil {
			return vault.Match{Version: ptr(int64(1))}, false
		}
		return vault.Match{Version: ptr(s.version + off)}, off == 0
	}
	return vault.Match{}, true
}

// done takes over what an edit did, if it was to do anything.
func (w *walk) done(effects ...string) {
	w.t.Helper()
	if slices.ContainsFunc(effects, func(e string) bool { return e != "unchanged" }) {
		w.revision++
	}
}

func (w *walk) step(i int) {
	w.t.Helper()
	switch n := w.random.Intn(10); {
	case n < 4:
		w.stepPut()
	case n < 6:
		w.stepPatch()
	case n < 8:
		w.stepDelete()
	default:
		w.stepBulk()
	}
	w.compare(fmt.Sprintf("after step %d", i))
}

func (w *walk) stepPut() {
	w.t.Helper()
	key, value, comment := w.key(), w.value(), w.comment()
	m, holds := w.match(key)
	v := api.NewValue(value)
	got, isNew, err := w.PutSecret(w.t.Context(), w.ann, in(development, key), api.PutSecret{Value: &v, Comment: comment}, m)
	if !holds {
		isKind(w.t, "put "+key, err, fault.PreconditionFailed)
		return
	}
	effect := w.set(key, value, comment)
	w.done(effect)
	if err != nil || isNew != (effect == "created") || got.Version != w.live(key).version || got.Comment != w.live(key).comment {
		w.t.Fatalf("put %s: %+v, %v, %v; the model says %s, version %d", key, got, isNew, err, effect, w.live(key).version)
	}
}

func (w *walk) stepPatch() {
	w.t.Helper()
	key, comment := w.key(), w.comment()
	var rename *string
	if w.random.Intn(2) == 0 {
		rename = ptr(w.key())
	}
	m, holds := w.match(key)
	got, err := w.PatchSecret(w.t.Context(), w.ann, in(development, key), api.PatchSecret{Key: rename, Comment: comment}, m)
	s := w.live(key)
	switch {
	case s == nil:
		isKind(w.t, "patch "+key, err, fault.NotFound)
		return
	case !holds:
		isKind(w.t, "patch "+key, err, fault.PreconditionFailed)
		return
	case rename != nil && *rename != key && w.live(*rename) != nil:
		isKind(w.t, "rename "+key+" to "+*rename, err, fault.Conflict)
		return
	}
	effect := "unchanged"
	if comment != nil && *comment != s.comment || rename != nil && *rename != s.key {
		effect = "updated"
		if comment != nil {
			s.comment = *comment
		}
		if rename != nil {
			s.key = *rename
		}
		w.touch(s)
	}
	w.done(effect)
	if err != nil || got.Key != s.key || got.Version != s.version || got.Comment != s.comment {
		w.t.Fatalf("patch %s: %+v, %v; the model says %+v", key, got, err, *s)
	}
}

func (w *walk) stepDelete() {
	w.t.Helper()
	key := w.key()
	m, holds := w.match(key)
	err := w.DeleteSecret(w.t.Context(), w.ann, in(development, key), m)
	switch {
	case w.live(key) == nil:
		isKind(w.t, "delete "+key, err, fault.NotFound)
	case !holds:
		isKind(w.t, "delete "+key, err, fault.PreconditionFailed)
	case err != nil:
		w.t.Fatalf("delete %s: %v", key, err)
	default:
		w.done(w.unset(key))
	}
}

func (w *walk) stepBulk() {
	w.t.Helper()
	request := api.BulkRequest{Set: map[string]api.Value{}, DryRun: w.random.Intn(3) == 0}
	plain := map[string]string{}
	for range 1 + w.random.Intn(4) {
		key := w.key()
		plain[key] = w.value()
		request.Set[key] = api.NewValue(plain[key])
	}
	for range w.random.Intn(3) {
		if key := w.key(); !slices.Contains(request.Unset, key) {
			if _, both := plain[key]; !both {
				request.Unset = append(request.Unset, key)
			}
		}
	}
	m := vault.Match{}
	stale := w.random.Intn(5) == 0
	if stale {
		m.Revision = ptr(w.revision - 1)
	}
	got, err := w.Bulk(w.t.Context(), w.ann, development, request, m)
	if stale {
		isKind(w.t, "bulk at a former revision", err, fault.PreconditionFailed)
		return
	}
	after := w.clone()
	want := api.BulkResult{Created: []string{}, Updated: []string{}, Unchanged: []string{}, Deleted: []string{}, DryRun: request.DryRun}
	effects := map[string]*[]string{"created": &want.Created, "updated": &want.Updated, "unchanged": &want.Unchanged, "deleted": &want.Deleted}
	changed := false
	note := func(key, effect string) {
		*effects[effect] = append(*effects[effect], key)
		slices.Sort(*effects[effect])
		changed = changed || effect != "unchanged"
	}
	for key, value := range plain {
		note(key, after.set(key, value, nil))
	}
	for _, key := range request.Unset {
		note(key, after.unset(key))
	}
	if changed {
		after.revision++
	}
	if !request.DryRun {
		w.model = after
	}
	want.Revision = w.revision
	if err != nil {
		w.t.Fatalf("bulk: %v", err)
	}
	equal(w.t, "bulk result", got, want)
}

// compare looks at everything that can be seen of the environment.
func (w *walk) compare(when string) {
	w.t.Helper()
	type row struct {
		Key, Value, Comment string
		Version             int64
	}
	list := must(w.SecretsWithValues(w.t.Context(), w.ann, development))
	got, want := []row{}, []row{}
	for _, s := range list.Results {
		got = append(got, row{s.Key, s.Value.Reveal(), s.Comment, s.Version})
	}
	for _, s := range w.secrets {
		if s.live {
			want = append(want, row{s.key, s.value, s.comment, s.version})
		}
	}
	slices.SortFunc(want, func(a, b row) int { return slices.Compare([]byte(a.Key), []byte(b.Key)) })
	equal(w.t, when+": secrets", got, want)
	e := must(w.Environment(w.t.Context(), w.ann, development))
	equal(w.t, when+": revision, revision of the list, count", []int64{e.Revision, list.Revision, int64(e.SecretCount)},
		[]int64{w.revision, w.revision, int64(len(want))})
	equal(w.t, when+": former versions", w.count(w.t, "secret_versions"), w.kept)
	if w.t.Failed() {
		w.t.FailNow()
	}
}

// TestEditsOfSecretsFollowTheModel makes random edits and compares the
// environment with a simple model after each of them.
func TestEditsOfSecretsFollowTheModel(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		seed := time.Now().UnixNano()
		t.Logf("seed %d", seed)
		w := &walk{house: h, model: new(model), t: t, random: rand.New(rand.NewSource(seed))}
		for i := range 250 {
			w.step(i)
		}
		equal(t, "changes that were audited", h.count(t, "audit_events WHERE action IN ('secret.create', 'secret.update', 'secret.delete')"),
			w.kept+len(w.secrets))
	})
}
