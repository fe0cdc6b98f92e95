//go:build linux

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/client"
)

// custodyBackup is a backup that was made while somebody writes, and its
// restoring into an empty database of the same engine.
type custodyBackup struct {
	backup, restore finished
	bytes           int64
	longestWrite    time.Duration // that one client has waited for meanwhile
}

func (m *mass) backUp(ctx context.Context) (b custodyBackup, err error) {
	file := filepath.Join(m.site.dir, "mass.backup")
	if b.longestWrite, err = m.whileWriting(ctx, func() error {
		b.backup, err = m.run(ctx, "backup", file)
		return err
	}); err != nil {
		return b, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return b, err
	}
	b.bytes = info.Size()
	fresh := &site{engine: m.site.engine, dir: filepath.Join(m.site.dir, "restored"), environ: slices.Clone(m.site.environ)}
	if err := os.Mkdir(fresh.dir, 0o700); err != nil {
		return b, err
	}
	if m.postgres != nil {
		if err := createDatabases(ctx, m.postgres, "restored"); err != nil {
			return b, err
		}
		fresh.set("DATABASE_URL", m.postgres.URL("restored"))
	}
	b.restore, err = measureCommand(ctx, fresh, m.binary, "restore", file)
	return b, err
}

// whileWriting does something while a client of a server writes one secret after
// the other, and reports the longest that it has waited for one.
func (m *mass) whileWriting(ctx context.Context, do func() error) (longest time.Duration, err error) {
	p, err := launchHeartlock(ctx, m.site, m.binary)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	c, err := client.New(client.Options{Server: "http://" + p.address, Token: m.site.owner})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	writing, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		for n := 0; writing.Err() == nil; n++ {
			v := api.NewValue(strings.Repeat("x", shortest+n%shortest))
			start := time.Now()
			_, _, err := c.PutSecret(ctx, client.Environment{Project: "mass-0", Slug: "e-0"}, "WRITTEN", api.PutSecret{Value: &v})
			if err != nil {
				ended <- err
				return
			}
			longest = max(longest, time.Since(start))
		}
		ended <- nil
	}()
	err = do()
	stop()
	err = errors.Join(err, <-ended)
	return longest, err
}

const shortest = 32 // bytes of a value
