package store

import (
	"context"
	"database/sql"
	"errors"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/schema"

	"github.com/heartlock/heartlock/pkg/fault"
)

const (
	defaultConnMaxAge     = 60 * time.Second
	defaultConnectTimeout = 5 * time.Second
)

// sessionSettings are what a session gets unless the address sets it: the most
// that one statement, one wait for a lock and one idle transaction may take, so
// that a request that nobody waits for any more ends; and no compiling of queries,
// which takes more than a second for one of the history that runs for a tenth of
// it. They are set after connecting and not while connecting, because connection
// poolers refuse what they do not know.
var sessionSettings = [...]struct{ name, value string }{
	{"statement_timeout", "30s"},
	{"lock_timeout", "10s"},
	{"idle_in_transaction_session_timeout", "60s"},
	{"jit", "off"},
}

// openPostgres opens one pool for everything. The queries go out in pgx's exec
// mode: bun writes the values into the text, so no text comes twice and a
// cache of prepared statements would only fill up.
func openPostgres(ctx context.Context, o Options) (*Store, error) {
	config, err := postgresConfig(o.DSN)
	if err != nil {
		return nil, err
	}
	if o.MaxConns == 0 {
		o.MaxConns = max(10, 4*runtime.NumCPU())
	}
	db := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(setUpSession(config)))
	setPoolRules(db, o)
	s := newStore(o, db, db, func() schema.Dialect { return postgresDialect{pgdialect.New()} })
	if err := s.Ping(ctx); err != nil {
		_ = s.Close()
		return nil, refusedForGood(err)
	}
	return s, nil
}

func postgresConfig(dsn string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		// The error quotes the address; pgx hides the password only where it finds one.
		return nil, fault.New(fault.Usage, "The address of the PostgreSQL database is not valid.")
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = defaultConnectTimeout
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "heartlock"
	}
	// bun quotes texts for these two settings; a database may have others.
	config.RuntimeParams["standard_conforming_strings"] = "on"
	config.RuntimeParams["client_encoding"] = "UTF8"
	return config, nil
}

// setPoolRules translates the age of connections, which is counted as Django
// does: 0 means to keep none, while sql.DB means to keep them for ever.
func setPoolRules(db *sql.DB, o Options) {
	db.SetMaxOpenConns(o.MaxConns)
	db.SetMaxIdleConns(o.MaxConns)
	switch {
	case o.ConnMaxAge == 0:
		db.SetMaxIdleConns(0)
	case o.ConnMaxAge < 0:
		db.SetConnMaxLifetime(defaultConnMaxAge)
	default:
		db.SetConnMaxLifetime(o.ConnMaxAge)
	}
}

// setUpSession gives a new connection those settings that its address does not have.
func setUpSession(config *pgx.ConnConfig) func(context.Context, *pgx.Conn) error {
	var set strings.Builder
	for _, setting := range sessionSettings {
		if config.RuntimeParams[setting.name] == "" && !strings.Contains(config.RuntimeParams["options"], setting.name) {
			set.WriteString("SET " + setting.name + " = '" + setting.value + "';")
		}
	}
	return func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.PgConn().Exec(ctx, set.String()).ReadAll()
		if err != nil {
			return errors.Join(err, conn.Close(ctx))
		}
		return nil
	}
}

// refusedForGood recognises, at the start, what waiting will not mend.
func refusedForGood(err error) error {
	var refusal *pgconn.PgError
	if !errors.As(err, &refusal) {
		return err
	}
	switch {
	case strings.HasPrefix(refusal.Code, "28"): // invalid authorization specification
		return fault.Wrap(fault.Usage, err, "PostgreSQL refused the user name or the password of the database address.")
	case refusal.Code == "3D000":
		return fault.Wrap(fault.Usage, err, "The PostgreSQL server has no database of the name in the database address.")
	}
	return err
}

// numberPlaceholders turns ? into $1, $2 and so on. The texts of this package
// have no other use for a question mark.
func numberPlaceholders(query string) string {
	parts := strings.Split(query, "?")
	var out strings.Builder
	for i, part := range parts {
		if i > 0 {
			out.WriteString("$" + strconv.Itoa(i))
		}
		out.WriteString(part)
	}
	return out.String()
}
