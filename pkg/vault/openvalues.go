package vault

import (
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/store"
)

// openAtOnce is how many secrets a goroutine opens before the next one is worth
// its start.
const openAtOnce = 256

// eachOf calls do with every row, on all processors. do must be safe for
// concurrent use. The first error ends it.
func eachOf(rows []store.Secret, do func(i int) error) error {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for start := 0; start < len(rows); start += openAtOnce {
		g.Go(func() error {
			for i := start; i < min(start+openAtOnce, len(rows)); i++ {
				if err := do(i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// openValues opens the values of rows. One that can not be decrypted fails the whole.
func (v *Vault) openValues(rows []store.Secret) ([]api.Value, error) {
	values := make([]api.Value, len(rows))
	err := eachOf(rows, func(i int) (err error) {
		values[i], err = v.open(&rows[i])
		return err
	})
	return values, err
}
