package store

import "github.com/uptrace/bun"

// Bun is what the tests look into the tables with.
func (s *Store) Bun() bun.IDB { return s.db }
