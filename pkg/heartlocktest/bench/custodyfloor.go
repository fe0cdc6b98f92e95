//go:build linux

package main

import (
	"context"
	"database/sql"
	"encoding/gob"
	"errors"
	"io"
	"net/url"
	"runtime/debug"
	"time"

	"github.com/fernet/fernet-go"
)

// handJob is a rotation as one would write it in an hour: read a batch, open
// and seal each value, update the rows, commit. It knows neither edits that
// happen meanwhile nor other tables, can not be interrupted, and verifies
// nothing. The durability is that of Heartlock.
type handJob struct {
	Engine, Address string
	From, To        string // keys
}

// handDone is its result.
type handDone struct {
	Rows  int
	Took  time.Duration
	Error string
}

const (
	handBatch = 2000 // as many as Heartlock replaces in a transaction
	handGC    = 400  // and its garbage collector setting
)

// serveByHand does one job.
func serveByHand(ctx context.Context, in io.Reader, out io.Writer) error {
	var j handJob
	if err := gob.NewDecoder(in).Decode(&j); err != nil {
		return err
	}
	debug.SetGCPercent(handGC)
	done, err := j.do(ctx)
	if err != nil {
		done.Error = err.Error()
	}
	if err := gob.NewEncoder(out).Encode(done); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in) // the memory is looked at before this ends
	return err
}

func (j handJob) do(ctx context.Context) (done handDone, err error) {
	from, err := fernet.DecodeKey(j.From)
	if err != nil {
		return done, err
	}
	to, err := fernet.DecodeKey(j.To)
	if err != nil {
		return done, err
	}
	db, err := j.open()
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	start := time.Now()
	for after := int64(0); ; {
		ids, tokens, err := j.read(ctx, db, after)
		if err != nil || len(ids) == 0 {
			done.Took = time.Since(start)
			return done, err
		}
		for i, token := range tokens {
			text := fernet.VerifyAndDecrypt([]byte(token), 0, []*fernet.Key{from})
			if text == nil {
				return done, errors.New("a value does not open")
			}
			sealed, err := fernet.EncryptAndSign(text, to)
			if err != nil {
				return done, err
			}
			tokens[i] = string(sealed)
		}
		if err := j.write(ctx, db, ids, tokens); err != nil {
			return done, err
		}
		done.Rows += len(ids)
		after = ids[len(ids)-1]
	}
}

func (j handJob) open() (*sql.DB, error) {
	if j.Engine == enginePostgres {
		return pool("pgx", j.Address, 1)
	}
	dsn := "file:" + (&url.URL{Path: j.Address}).EscapedPath() + "?_journal_mode=WAL&_synchronous=FULL&_busy_timeout=10000&_txlock=immediate"
	return pool("sqlite", dsn, 1)
}

func (j handJob) read(ctx context.Context, db *sql.DB, after int64) (ids []int64, tokens []string, err error) {
	query := "SELECT id, sealed FROM secrets WHERE id > $1 AND sealed IS NOT NULL ORDER BY id LIMIT $2"
	rows, err := db.QueryContext(ctx, query, after, handBatch)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id int64
		var token string
		if err := rows.Scan(&id, &token); err != nil {
			return nil, nil, err
		}
		ids, tokens = append(ids, id), append(tokens, token)
	}
	return ids, tokens, rows.Err()
}

func (j handJob) write(ctx context.Context, db *sql.DB, ids []int64, tokens []string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	if j.Engine == enginePostgres {
		_, err = tx.ExecContext(ctx, `UPDATE secrets t SET sealed = w.token, key_fingerprint = 'by hand'
			FROM unnest($1::bigint[], $2::text[]) w (id, token) WHERE t.id = w.id`, ids, tokens)
	} else {
		err = j.writeEach(ctx, tx, ids, tokens)
	}
	if err != nil {
		return err
	}
	return tx.Commit()
}

func (j handJob) writeEach(ctx context.Context, tx *sql.Tx, ids []int64, tokens []string) error {
	update, err := tx.PrepareContext(ctx, "UPDATE secrets SET sealed = ?, key_fingerprint = 'by hand' WHERE id = ?")
	if err != nil {
		return err
	}
	defer func() { _ = update.Close() }()
	for i := range ids {
		if _, err := update.ExecContext(ctx, tokens[i], ids[i]); err != nil {
			return err
		}
	}
	return nil
}
