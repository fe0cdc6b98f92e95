package vault

import "context"

// Permits tells whether a caller may do something in an environment as it is now: nil,
// or the error that the operation would end with. Pages ask it so that they do not
// offer what would be refused; operations decide for themselves. Nothing is recorded.
func (v *Vault) Permits(ctx context.Context, p Principal, a Action, ref EnvironmentRef) error {
	_, err := v.environment(ctx, v.store.Queries, p, a, ref)
	return err
}
