//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/keyring"
)

// newMass sets an installation up. Its secrets come with load.
func newMass(ctx context.Context, engine string, size int, dir, binary string) (_ *mass, err error) {
	m := &mass{binary: binary, size: size, stop: func() {}, database: filepath.Join(dir, "heartlock_data", "db.sqlite3")}
	defer func() {
		if err != nil {
			m.stop()
		}
	}()
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	if engine == enginePostgres {
		if m.postgres, m.stop, err = heartlocktest.LaunchPostgres(heartlocktest.PostgresOptions{Durable: true}); err != nil {
			return nil, err
		}
		m.database = m.postgres.URL("heartlock")
	}
	if m.site, err = newSite(ctx, engine, dir, m.postgres); err != nil {
		return nil, err
	}
	m.keys = []string{m.site.setting(keySetting)}
	m.floorKey = m.keys
	return m, nil
}

const keySetting = "HEARTLOCK_ENCRYPTION_KEY"

// setting is the value of a variable of the site.
func (s *site) setting(name string) string {
	for _, variable := range s.environ {
		if value, ok := strings.CutPrefix(variable, name+"="); ok {
			return value
		}
	}
	return ""
}

func (s *site) set(name, value string) {
	for i, variable := range s.environ {
		if strings.HasPrefix(variable, name+"=") {
			s.environ[i] = name + "=" + value
		}
	}
}

// close removes the installation.
func (m *mass) close() {
	m.stop()
	_ = os.RemoveAll(m.site.dir) // what is left goes with the directory of the run
}

// load stores the secrets, and copies the database for the floor.
func (m *mass) load(ctx context.Context) error {
	key, err := keyring.ParseKey(m.keys[0])
	if err != nil {
		return err
	}
	ring, err := keyring.NewRing(key)
	if err != nil {
		return err
	}
	load := heartlocktest.Mass{Environments: m.size / perMass, Secrets: perMass, Ring: ring}
	if err := load.Load(ctx, m.database); err != nil {
		return err
	}
	if m.postgres == nil {
		text, err := os.ReadFile(m.database)
		if err != nil {
			return err
		}
		return os.WriteFile(m.site.floorDB, text, 0o600)
	}
	conn, err := pgx.Connect(ctx, m.postgres.URL("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, statement := range []string{"DROP DATABASE floor", "CREATE DATABASE floor TEMPLATE heartlock"} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// settle has the database do now what it would do in the middle of what is
// measured next.
func (m *mass) settle(ctx context.Context) error {
	if m.postgres == nil {
		return nil // the last to close a SQLite database does
	}
	for _, url := range []string{m.database, m.site.floorDB} {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		_, vacuumErr := conn.Exec(ctx, "VACUUM ANALYZE secrets")
		_, checkpointErr := conn.Exec(ctx, "CHECKPOINT")
		if err := errors.Join(vacuumErr, checkpointErr, conn.Close(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// finished is a command that has ended.
type finished struct {
	text string // that it wrote to stderr
	took time.Duration
	peak float64 // resident memory in MiB, at most
}

// run runs heartlock in the site.
func (m *mass) run(ctx context.Context, args ...string) (finished, error) {
	return measureCommand(ctx, m.site, m.binary, args...)
}

func measureCommand(ctx context.Context, s *site, binary string, args ...string) (finished, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir, cmd.Env, cmd.Stderr = s.dir, append(plainEnviron(), s.environ...), &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return finished{}, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	f := finished{}
	f.peak = watchPeak(cmd.Process.Pid, ended, func(err error) {
		f.took = time.Since(start)
		if err != nil {
			f.text = err.Error() + "\n"
		}
	})
	f.text += stderr.String()
	if !cmd.ProcessState.Success() {
		return f, fmt.Errorf("heartlock %s: %s", strings.Join(args, " "), f.text)
	}
	return f, nil
}

// watchPeak looks at a process until it ends. The kernel's own account of the
// peak begins with that of the parent, which is why it is not asked at the end.
func watchPeak(pid int, ended <-chan error, then func(error)) (peak float64) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			then(err)
			return peak
		case <-tick.C:
			if _, highest, err := memoryOf(pid); err == nil {
				peak = max(peak, highest)
			}
		}
	}
}

var (
	resealedIn = regexp.MustCompile(`Re-encrypted (\d+) values in (\S+)\.\n`)
	verifiedIn = regexp.MustCompile(`Verified: all \d+ values open with key \w+ alone \((\S+)\)`)
)

// rotate has Heartlock put everything under a new key, and reads from what it
// prints how long that took.
func (m *mass) rotate(ctx context.Context, one *rotationRound) error {
	renewed := keyring.Generate().Encode()
	m.site.set(keySetting, renewed+","+m.keys[len(m.keys)-1])
	f, err := m.run(ctx, "rotate-key", "--no-backup")
	if err != nil {
		return err
	}
	resealed, verified := resealedIn.FindStringSubmatch(f.text), verifiedIn.FindStringSubmatch(f.text)
	if resealed == nil || verified == nil {
		return fmt.Errorf("rotate-key says: %s", f.text)
	}
	var errTook, errVerify error
	one.reseal, errTook = time.ParseDuration(resealed[2])
	one.verify, errVerify = time.ParseDuration(verified[1])
	one.whole, one.peak = f.took, f.peak
	if n, err := strconv.Atoi(resealed[1]); err != nil || n < m.size {
		return fmt.Errorf("%s of %d values were re-encrypted", resealed[1], m.size)
	}
	if err := errors.Join(errTook, errVerify); err != nil {
		return err
	}
	m.keys = append(m.keys, renewed)
	if _, err := m.run(ctx, "rotate-key", "--finish"); err != nil {
		return err
	}
	m.site.set(keySetting, renewed)
	return nil
}

// rotateByHand does the same to the copy, in a process of its own.
func (m *mass) rotateByHand(ctx context.Context, one *rotationRound) error {
	p, err := launchSelf(ctx, m.site.dir, roleByHand)
	if err != nil {
		return err
	}
	renewed := keyring.Generate().Encode()
	job := handJob{Engine: m.site.engine, Address: m.site.floorDB, From: m.floorKey[len(m.floorKey)-1], To: renewed}
	if err := gob.NewEncoder(p.input).Encode(job); err != nil {
		return errors.Join(err, p.stop())
	}
	var done handDone
	if err := gob.NewDecoder(p.output).Decode(&done); err != nil {
		return errors.Join(err, p.stop())
	}
	_, one.floorPeak, err = memoryOf(p.pid())
	one.floor = done.Took
	m.floorKey = append(m.floorKey, renewed)
	if done.Rows != m.size {
		err = errors.Join(err, fmt.Errorf("%d of %d rows were done by hand (%s)", done.Rows, m.size, done.Error))
	}
	return errors.Join(err, p.stop())
}
