package vault

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/store"
)

// Compare says how the secrets of two environments of a project differ, as they
// were at one moment, for who may read both. With values it adds those of the
// secrets that are in one of them alone or differ, which is audited as a reading
// in each; the comparison itself is audited in any case. One value that can not be
// decrypted fails the whole.
func (v *Vault) Compare(ctx context.Context, p Principal, projectRef, a, b string, values bool) (answer api.Comparison, err error) {
	action := ActionCompareSecrets
	if values {
		action = ActionReadSecret
	}
	var left, right *side
	err = v.store.Snapshot(ctx, func(ctx context.Context, q store.Queries) error {
		if left, err = v.side(ctx, q, p, action, EnvironmentRef{projectRef, a}); err != nil {
			return err
		}
		right, err = v.side(ctx, q, p, action, EnvironmentRef{projectRef, b})
		return err
	})
	if err != nil {
		return api.Comparison{}, err
	}
	if answer, err = v.compareSides(left, right, values); err != nil {
		return api.Comparison{}, err
	}
	if err := v.recordCompared(ctx, p, left, right, answer, values); err != nil {
		return api.Comparison{}, err
	}
	return answer, nil
}

// side is one environment of a comparison with its secrets.
type side struct {
	view *store.EnvironmentView
	rows []store.Secret
}

func (v *Vault) side(ctx context.Context, q store.Queries, p Principal, a Action, ref EnvironmentRef) (*side, error) {
	view, err := v.environment(ctx, q, p, a, ref)
	if err != nil {
		return nil, err
	}
	rows, err := q.SecretsOf(ctx, &view.Environment)
	return &side{view, rows}, err
}

func (v *Vault) compareSides(a, b *side, values bool) (api.Comparison, error) {
	answer := api.Comparison{
		A: comparedEnvironment(a.view), B: comparedEnvironment(b.view),
		OnlyA: []api.Secret{}, OnlyB: []api.Secret{}, Different: []api.Difference{}, Same: []string{},
	}
	valuesA, err := v.openValues(a.rows)
	if err != nil {
		return answer, err
	}
	valuesB, err := v.openValues(b.rows)
	if err != nil {
		return answer, err
	}
	shown := func(row *store.Secret, value *api.Value) api.Secret {
		s := apiSecret(row)
		if values {
			s.Value = value
		}
		return s
	}
	inB := make(map[string]int, len(b.rows))
	for j := range b.rows {
		inB[b.rows[j].Key] = j
	}
	for i := range a.rows {
		key := a.rows[i].Key
		j, both := inB[key]
		delete(inB, key)
		switch {
		case !both:
			answer.OnlyA = append(answer.OnlyA, shown(&a.rows[i], &valuesA[i]))
		case valuesA[i].Equal(valuesB[j]):
			answer.Same = append(answer.Same, key)
		default:
			answer.Different = append(answer.Different, api.Difference{Key: key, A: shown(&a.rows[i], &valuesA[i]), B: shown(&b.rows[j], &valuesB[j])})
		}
	}
	for _, j := range inB {
		answer.OnlyB = append(answer.OnlyB, shown(&b.rows[j], &valuesB[j]))
	}
	sortComparison(&answer)
	return answer, nil
}

// sortComparison orders by key. The order of the database depends on its locale.
func sortComparison(c *api.Comparison) {
	byKey := func(a, b api.Secret) int { return cmp.Compare(a.Key, b.Key) }
	slices.SortFunc(c.OnlyA, byKey)
	slices.SortFunc(c.OnlyB, byKey)
	slices.SortFunc(c.Different, func(a, b api.Difference) int { return cmp.Compare(a.Key, b.Key) })
	slices.Sort(c.Same)
}

func comparedEnvironment(view *store.EnvironmentView) api.ComparedEnvironment {
	return api.ComparedEnvironment{Slug: view.Slug, Name: view.Name, Protected: view.IsProtected, Revision: view.Revision}
}

// recordCompared makes the events of a comparison durable: that it was told what is
// the same and, if there are values in the answer, of which environment how many.
func (v *Vault) recordCompared(ctx context.Context, p Principal, a, b *side, answer api.Comparison, values bool) error {
	err := v.recordRead(ctx, p, event{
		action: ActionCompareSecrets, projectID: a.view.ProjectID, environment: a.view.Slug, target: b.view.Slug,
		detail: map[string]string{"count": strconv.Itoa(len(answer.Same) + len(answer.Different))},
	})
	if err != nil || !values {
		return err
	}
	for _, read := range []struct {
		side, other *side
		count       int
	}{
		{a, b, len(answer.OnlyA) + len(answer.Different)},
		{b, a, len(answer.OnlyB) + len(answer.Different)},
	} {
		err := v.recordRead(ctx, p, event{
			action: ActionReadSecret, projectID: read.side.view.ProjectID, environment: read.side.view.Slug, target: "*",
			detail: map[string]string{
				"count": strconv.Itoa(read.count), "revision": strconv.FormatInt(read.side.view.Revision, 10),
				"compared_with": read.other.view.Slug,
			},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// slugs are those of environments in a row, for the audit trail.
func slugs(environments []store.Environment) string {
	all := make([]string, len(environments))
	for i := range environments {
		all[i] = environments[i].Slug
	}
	return strings.Join(all, " ")
}
