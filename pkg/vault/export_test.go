package vault

// HoldHashing lets no password be checked until release is called.
func (v *Vault) HoldHashing() (release func()) {
	for range cap(v.hasher.slots) {
		v.hasher.slots <- struct{}{}
	}
	return func() {
		for range cap(v.hasher.slots) {
			<-v.hasher.slots
		}
	}
}

// Hashing is how many wait for a password to be checked.
func (v *Vault) Hashing() int64 { return v.hasher.waiting.Load() }

// HashPassword is the stored form of a password.
func HashPassword(password string) string { return hashPassword(password) }
