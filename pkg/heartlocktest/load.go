//go:build unix

package heartlocktest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"runtime"
	"strings"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/heartlock/heartlock/pkg/keyring"
)

// Mass is a great number of secrets that is put straight into a database, past
// Heartlock, because a test or a measurement needs them to be there.
type Mass struct {
	Environments int // in projects of up to a hundred
	Secrets      int // in each environment
	Ring         *keyring.Ring
}

const (
	massPerProject = 100
	massAt         = int64(1_767_225_600_000_000) // when everything of it was made, in microseconds
	shortestValue  = 32
	longestValue   = 64
)

// Load puts the secrets into an installation that is set up and on which no
// server runs: database is the path of a SQLite file or the URL of a PostgreSQL
// database. The projects are called mass-0, mass-1 …, their environments e-0,
// e-1 …, the secrets of each KEY_0000, KEY_0001 …; every user of the
// installation owns them. The values are 32 to 64 random letters and digits.
func (m Mass) Load(ctx context.Context, database string) error {
	var into massTarget = &massSQLite{path: database}
	if strings.Contains(database, "://") {
		into = &massPostgres{url: database}
	}
	if err := into.open(ctx); err != nil {
		return err
	}
	err := m.fill(ctx, into)
	if closeErr := into.close(ctx, err == nil); err == nil {
		err = closeErr
	}
	return err
}

// massTarget is a database that takes many rows at once.
type massTarget interface {
	open(ctx context.Context) error
	exec(ctx context.Context, statement string) error
	secrets(ctx context.Context, rows [][]any) error // in the order of massColumns
	close(ctx context.Context, commit bool) error
	no() string // how it writes that something is not so
}

var massColumns = []string{
	"environment_id", "key", "version", "comment", "sealed", "key_fingerprint", "revision",
	"created_at", "updated_at", "updated_by_kind", "updated_by_id", "updated_by_name",
}

// fill seals on all processors and stores meanwhile.
func (m Mass) fill(ctx context.Context, into massTarget) error {
	if err := m.places(ctx, into); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	numbers, batches := make(chan int), make(chan [][]any, 2)
	group.Go(func() error {
		defer close(numbers)
		for n := range m.Environments {
			select {
			case numbers <- n:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	sealing, sealCtx := errgroup.WithContext(ctx)
	for range runtime.GOMAXPROCS(0) {
		sealing.Go(func() error { return m.seal(sealCtx, numbers, batches) })
	}
	group.Go(func() error {
		defer close(batches)
		return sealing.Wait()
	})
	group.Go(func() error {
		for rows := range batches {
			if err := into.secrets(ctx, rows); err != nil {
				return err
			}
		}
		return nil
	})
	return group.Wait()
}

// seal makes the rows of environments.
func (m Mass) seal(ctx context.Context, numbers <-chan int, batches chan<- [][]any) error {
	for n := range numbers {
		rows := make([][]any, m.Secrets)
		for i := range rows {
			text := rand.Text() + rand.Text() + rand.Text() // 26 letters each
			token, fingerprint, err := m.Ring.Seal([]byte(text[:shortestValue+(n+i)%(longestValue-shortestValue+1)]))
			if err != nil {
				return err
			}
			rows[i] = []any{
				massEnvironment(n), fmt.Sprintf("KEY_%04d", i), int64(1), "", string(token), fingerprint, int64(1),
				massAt, massAt, "user", "", "mass",
			}
		}
		select {
		case batches <- rows:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func massEnvironment(n int) string { return fmt.Sprintf("00000000-0000-7000-8000-%012d", n) }

// places makes the projects and environments.
func (m Mass) places(ctx context.Context, into massTarget) error {
	for n := range m.Environments {
		project := fmt.Sprintf("00000000-0000-7000-9000-%012d", n/massPerProject)
		if n%massPerProject == 0 {
			name := fmt.Sprintf("mass-%d", n/massPerProject)
			for _, statement := range []string{
				fmt.Sprintf("INSERT INTO projects (id, slug, name, description, created_at, updated_at) VALUES ('%s', '%s', '%s', '', %d, %d)", project, name, name, massAt, massAt),
				fmt.Sprintf("INSERT INTO memberships (project_id, user_id, role, created_at) SELECT '%s', id, 'owner', %d FROM users", project, massAt),
			} {
				if err := into.exec(ctx, statement); err != nil {
					return err
				}
			}
		}
		slug := fmt.Sprintf("e-%d", n%massPerProject)
		err := into.exec(ctx, fmt.Sprintf("INSERT INTO environments (id, project_id, slug, name, position, is_protected, revision, secret_count, created_at, updated_at)"+
			" VALUES ('%s', '%s', '%s', '%s', %d, %s, 1, %d, %d, %d)", massEnvironment(n), project, slug, slug, n%massPerProject, into.no(), m.Secrets, massAt, massAt))
		if err != nil {
			return err
		}
	}
	return nil
}

// massSQLite stores in one transaction.
type massSQLite struct {
	path   string
	db     *sql.DB
	tx     *sql.Tx
	insert *sql.Stmt
}

func (s *massSQLite) open(ctx context.Context) (err error) {
	if s.db, err = sql.Open("sqlite", "file:"+s.path+"?mode=rw&_pragma=foreign_keys(1)"); err != nil {
		return err
	}
	s.db.SetMaxOpenConns(1)
	if s.tx, err = s.db.BeginTx(ctx, nil); err != nil {
		return err
	}
	s.insert, err = s.tx.PrepareContext(ctx, "INSERT INTO secrets ("+strings.Join(massColumns, ", ")+") VALUES (?"+strings.Repeat(", ?", len(massColumns)-1)+")")
	return err
}

func (s *massSQLite) no() string { return "0" }

func (s *massSQLite) exec(ctx context.Context, statement string) error {
	_, err := s.tx.ExecContext(ctx, statement)
	return err
}

func (s *massSQLite) secrets(ctx context.Context, rows [][]any) error {
	for _, row := range rows {
		if _, err := s.insert.ExecContext(ctx, row...); err != nil {
			return err
		}
	}
	return nil
}

func (s *massSQLite) close(ctx context.Context, commit bool) error {
	defer func() { _ = s.db.Close() }()
	if !commit {
		return s.tx.Rollback()
	}
	if err := s.tx.Commit(); err != nil {
		return err
	}
	_, err := s.db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	return err
}

// massPostgres stores by COPY, and then has the planner know what is there.
type massPostgres struct {
	url  string
	conn *pgx.Conn
	tx   pgx.Tx
}

func (p *massPostgres) open(ctx context.Context) (err error) {
	if p.conn, err = pgx.Connect(ctx, p.url); err != nil {
		return err
	}
	p.tx, err = p.conn.Begin(ctx)
	return err
}

func (p *massPostgres) no() string { return "false" }

func (p *massPostgres) exec(ctx context.Context, statement string) error {
	_, err := p.tx.Exec(ctx, statement)
	return err
}

func (p *massPostgres) secrets(ctx context.Context, rows [][]any) error {
	_, err := p.tx.CopyFrom(ctx, pgx.Identifier{"secrets"}, massColumns, pgx.CopyFromRows(rows))
	return err
}

func (p *massPostgres) close(ctx context.Context, commit bool) error {
	defer func() { _ = p.conn.Close(ctx) }()
	if !commit {
		return p.tx.Rollback(ctx)
	}
	if err := p.tx.Commit(ctx); err != nil {
		return err
	}
	_, err := p.conn.Exec(ctx, "VACUUM ANALYZE")
	return err
}
