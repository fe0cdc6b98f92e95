package vault

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strconv"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// Matrix says which key of a project has which value in which environment, without
// the values, as it was at one moment. What the caller can not read is not there:
// of an environment that is withheld from him there is no column, and its values
// make no group. It is audited once, as a comparison.
//
// The values are opened one environment after the other, and of each only its
// digest is kept until the end, so that the memory is that of one environment. The
// digests do not leave this function.
func (v *Vault) Matrix(ctx context.Context, p Principal, projectRef string) (api.Matrix, error) {
	var (
		view         *store.ProjectView
		environments []store.Environment
		m            = matrix{rows: map[string][]cell{}}
	)
	err := v.store.Snapshot(ctx, func(ctx context.Context, q store.Queries) (err error) {
		if view, err = v.project(ctx, q, p, ActionCompareSecrets, projectRef); err != nil {
			return err
		}
		if environments, err = q.EnvironmentsOf(ctx, p.caller(), view.ID); err != nil {
			return err
		}
		for i := range environments {
			if err := v.addColumn(ctx, q, &m, environments, i); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return api.Matrix{}, err
	}
	err = v.recordRead(ctx, p, event{
		action: ActionCompareSecrets, projectID: view.ID, target: "*",
		detail: map[string]string{"environments": slugs(environments), "count": strconv.Itoa(len(m.rows))},
	})
	if err != nil {
		return api.Matrix{}, err
	}
	return m.answer(environments), nil
}

// matrix is the cells by key, in the order of the environments.
type matrix struct {
	rows map[string][]cell
}

// cell is what is known of a secret in one environment.
type cell struct {
	version int64 // 0: there is none
	digest  [sha256.Size]byte
	damaged bool // so there is no digest
}

func (v *Vault) addColumn(ctx context.Context, q store.Queries, m *matrix, environments []store.Environment, column int) error {
	secrets, err := q.SecretsOf(ctx, &environments[column])
	if err != nil {
		return err
	}
	cells := make([]cell, len(secrets))
	err = eachOf(secrets, func(i int) (err error) {
		cells[i], err = v.cellOf(&secrets[i])
		return err
	})
	if err != nil {
		return err
	}
	for i := range secrets {
		row := m.rows[secrets[i].Key]
		if row == nil {
			row = make([]cell, len(environments))
			m.rows[secrets[i].Key] = row
		}
		row[column] = cells[i]
	}
	return nil
}

// cellOf opens a value for its digest. That it is damaged does not keep the others
// from being seen; that this server has not the key that everything is under does.
func (v *Vault) cellOf(secret *store.Secret) (cell, error) {
	value, err := v.open(secret)
	switch {
	case errors.Is(err, fault.Internal):
		return cell{version: secret.Version, damaged: true}, nil
	case err != nil:
		return cell{}, err
	}
	return cell{version: secret.Version, digest: sha256.Sum256([]byte(value.Reveal()))}, nil
}

func (m *matrix) answer(environments []store.Environment) api.Matrix {
	answer := api.Matrix{Environments: make([]api.MatrixEnvironment, len(environments)), Rows: make([]api.MatrixRow, 0, len(m.rows))}
	for i, e := range environments {
		answer.Environments[i] = api.MatrixEnvironment{Slug: e.Slug, Name: e.Name, Protected: e.IsProtected, Revision: e.Revision}
	}
	for key, cells := range m.rows {
		answer.Rows = append(answer.Rows, api.MatrixRow{Key: key, Cells: groupCells(cells)})
	}
	slices.SortFunc(answer.Rows, func(a, b api.MatrixRow) int { return cmp.Compare(a.Key, b.Key) })
	return answer
}

// groupCells numbers the different values of a row.
func groupCells(cells []cell) []api.MatrixCell {
	out := make([]api.MatrixCell, len(cells))
	groups := 0
	for i, c := range cells {
		out[i] = api.MatrixCell{Version: c.version, Damaged: c.damaged}
		if c.version == 0 || c.damaged {
			continue
		}
		same := slices.IndexFunc(cells[:i], func(former cell) bool {
			return former.version > 0 && !former.damaged && former.digest == c.digest
		})
		if same >= 0 {
			out[i].Group = out[same].Group
			continue
		}
		groups++
		out[i].Group = groups
	}
	return out
}
