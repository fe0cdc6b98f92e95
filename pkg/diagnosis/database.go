package diagnosis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/server"
	"github.com/heartlock/heartlock/pkg/store"
)

// largestClockDifference is what the clocks of the server and its database may
// differ by: times of both are compared, of tokens and sessions for example.
const largestClockDifference = 5 * time.Second

// database looks at the database, and at what is in it as far as that can be
// understood.
func (e *examination) database(ctx context.Context) {
	if e.config.Database.InMemory {
		e.found(Warning, subjectDatabase, "The database is in memory: there is none to look at, and what a server stores in it is gone when it ends.")
		return
	}
	opening, cancel := context.WithTimeout(ctx, patience)
	st, err := server.InspectStore(opening, e.config)
	cancel()
	switch {
	case errors.Is(err, store.ErrNoDatabase):
		e.found(Warning, subjectDatabase, "There is no database at "+e.config.Database.Path+" yet. `heartlock onboard` or `heartlock serve` makes it; if there should be one, this is the wrong directory or DATABASE_URL.")
		return
	case err != nil:
		e.failed(subjectDatabase, err)
		return
	}
	defer func() { _ = st.Close() }() // it was only read
	e.engine(ctx, st)
	if e.schema(ctx, st) {
		e.content(ctx, st)
	}
}

// failed reports that something could not be looked at. A fault says it in words
// for people; whoever runs this may see the cause too, which helps to mend it.
func (e *examination) failed(subject string, err error) {
	text := err.Error()
	f := fault.As(err)
	switch {
	case errors.Is(err, store.ErrCorrupt):
		text = damaged
	case f != nil && f.Kind == fault.Unavailable && f.Cause != nil:
		text = strings.TrimSuffix(f.Message, ".") + ": " + strings.Join(strings.Fields(f.Cause.Error()), " ")
	}
	e.found(Error, subject, text)
}

const damaged = "The database is damaged. Stop the server, keep the files as they are, and restore a backup."

// engine reports what the database itself says of its state.
func (e *examination) engine(ctx context.Context, st *store.Store) {
	version, err := st.Version(ctx)
	if err != nil {
		e.failed(subjectDatabase, err)
		return
	}
	if st.Engine() == store.PostgreSQL {
		e.right(subjectDatabase, "PostgreSQL "+version+" answers at "+e.config.Database.String())
		if e.options.Deploy {
			e.postgres(ctx, st)
		}
		return
	}
	damage, err := st.QuickCheck(ctx)
	switch {
	case err != nil:
		e.failed(subjectDatabase, err)
	case len(damage) > 0:
		e.found(Error, subjectDatabase, fmt.Sprintf("%s SQLite's quick_check says: %s.", damaged, strings.Join(damage, "; ")))
	case !st.SupportedVersion(version):
		e.found(Error, subjectDatabase, "SQLite "+version+" can corrupt a database; this heartlock was built with a library that is too old.")
	default:
		e.right(subjectDatabase, "SQLite "+version+", "+e.config.Database.Path+", structure sound")
	}
}

// postgres looks at what a production server needs of PostgreSQL.
func (e *examination) postgres(ctx context.Context, st *store.Store) {
	risky, err := st.RiskySettings(ctx)
	if err != nil {
		e.failed(subjectDatabase, err)
		return
	}
	for _, setting := range risky {
		e.found(Error, subjectDatabase, "PostgreSQL runs with "+setting+", so it can lose what it has confirmed when its machine fails; switch it on.")
	}
	difference, err := st.ClockDifference(ctx)
	switch {
	case err != nil:
		e.failed(subjectClock, err)
	case difference.Abs() > largestClockDifference:
		e.found(Error, subjectClock, fmt.Sprintf("PostgreSQL's clock is %s ours by %s; synchronise both (NTP).", side(difference), difference.Abs().Round(time.Second)))
	default:
		e.right(subjectClock, "the same as PostgreSQL's, to within "+largestClockDifference.String())
	}
}

func side(difference time.Duration) string {
	if difference < 0 {
		return "behind"
	}
	return "ahead of"
}

// schema compares the schema with the one of this program, and reports whether
// they are the same.
func (e *examination) schema(ctx context.Context, st *store.Store) bool {
	pending, err := st.Pending(ctx)
	if err != nil {
		e.failed(subjectSchema, err)
		return false
	}
	status, err := st.Status(ctx)
	if err != nil {
		e.failed(subjectSchema, err)
		return false
	}
	switch {
	case len(pending) == len(status):
		e.found(Warning, subjectSchema, "The database is empty. `heartlock onboard` or `heartlock serve` fills it.")
	case len(pending) > 0:
		e.found(Warning, subjectSchema, fmt.Sprintf("%s pending; until then the key and the values were not checked. `heartlock migrate` or the start of a server applies them.", count(len(pending), "migration is", "migrations are")))
	default:
		e.right(subjectSchema, fmt.Sprintf("version %d, which is this program's", len(status)))
		return true
	}
	return false
}

// count is "1 migration" or "2 migrations".
func count[N int | int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// keyState is what the settings say of the key.
func keyState(cfg *config.Server) string {
	prints := make([]string, len(cfg.EncryptionKey.Keys))
	for i, k := range cfg.EncryptionKey.Keys {
		prints[i] = k.Fingerprint()
	}
	return strings.Join(prints, ", ") + " from " + string(cfg.EncryptionKey.Source)
}
