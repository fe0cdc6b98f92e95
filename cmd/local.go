package cmd

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/server"
)

// envFileFlag is the flag of every command that runs on the server itself and
// reads the server's settings.
type envFileFlag struct{ envFile string }

func (f *envFileFlag) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.envFile, "env-file", "", "read settings from this file instead of .env")
}

// options say where the settings are; flags are those that a command's own
// flags give.
func (f *envFileFlag) options(c *cli, flags map[string]string) config.Options {
	return config.Options{Dir: c.workDir, EnvFile: f.envFile, EnvFileSet: f.envFile != "", Environ: c.environ, Flags: flags}
}

// logLevelFlag is the flag of those that log.
type logLevelFlag struct{ logLevel string }

func (f *logLevelFlag) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
}

// logger writes to standard error: for people on a terminal, as JSON elsewhere.
func (f *logLevelFlag) logger(c *cli, cmd *cobra.Command) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.logLevel)); err != nil || strings.ContainsAny(f.logLevel, "+-") {
		return nil, wrongUse(cmd, "--log-level must be debug, info, warn or error.")
	}
	if isTerminal(c.streams.Err) {
		return c.textLogger(level), nil
	}
	return slog.New(slog.NewJSONHandler(c.streams.Err, &slog.HandlerOptions{Level: level})), nil
}

// quiet is a logger for short commands: only what is wrong.
func (c *cli) quiet() *slog.Logger { return c.textLogger(slog.LevelWarn) }

// textLogger is for a person who watches: the time of day is enough.
func (c *cli) textLogger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(c.streams.Err, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				a.Value = slog.StringValue(a.Value.Time().Format(time.TimeOnly))
			}
			return a
		},
	}))
}

// withInstance opens the server's database and key for one command.
func (c *cli) withInstance(ctx context.Context, f *envFileFlag, do func(*server.Instance) error) error {
	cfg, err := config.LoadServer(f.options(c, nil))
	if err != nil {
		return err
	}
	i, err := server.Open(ctx, cfg, false, c.quiet())
	if err != nil {
		return err
	}
	err = do(i)
	if closeErr := i.Close(); err == nil {
		err = closeErr
	}
	return err
}
