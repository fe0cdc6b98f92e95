package cmd

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/server"
)

type serveOptions struct {
	envFileFlag
	logLevelFlag
	listen    string
	noMigrate bool
}

func newServeCommand(c *cli) *cobra.Command {
	o := &serveOptions{}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Runs the server in the current directory: its data is in heartlock_data/, its
settings come from the environment, .env and heartlock_data/appconfig.json.
With nothing configured it is a server for development: SQLite, a key of its own
and http://localhost:8082.

It stops on SIGTERM or an interrupt when the requests in flight have ended.` + exits(fault.Unavailable),
		Example: `  heartlock serve
  heartlock serve --listen 127.0.0.1:9000`,
		Args: takes(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := o.logger(c, cmd)
			if err != nil {
				return err
			}
			return c.serve(cmd.Context(), o, log)
		},
	}
	o.envFileFlag.register(cmd)
	o.logLevelFlag.register(cmd)
	cmd.Flags().StringVar(&o.listen, "listen", "", "address to listen on, host:port (default 127.0.0.1:8082 with DEBUG=True, else 0.0.0.0:8082)")
	cmd.Flags().BoolVar(&o.noMigrate, "no-migrate", false, "do not migrate the database; fail if that is needed")
	return cmd
}

// serve loads, builds and runs.
func (c *cli) serve(ctx context.Context, o *serveOptions, log *slog.Logger) error {
	restrictFileModes()
	server.TuneMemory(slices.ContainsFunc(c.environ, func(v string) bool { return strings.HasPrefix(v, "GOGC=") }))
	flags := map[string]string{}
	if o.listen != "" {
		flags["HEARTLOCK_LISTEN"] = o.listen
	}
	build := c.build.info()
	s, err := server.New(server.Options{
		Load:    func() (*config.Server, error) { return config.LoadServer(o.options(c, flags)) },
		Stamp:   func() string { return config.Stamp(o.options(c, flags)) },
		Migrate: !o.noMigrate, Log: log, Console: c.streams.Err, Version: build.Version, Commit: build.Commit,
	})
	if err != nil {
		return err
	}
	c.logSettings(log, s.Config())
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.Config().ListenAddress)
	if err != nil {
		return fault.Wrap(fault.Usage, err, "The server can not listen on "+s.Config().ListenAddress+": "+ioReason(err)+". Choose another address with --listen.")
	}
	err = s.Run(ctx, listener, func(needsSetup bool, setupToken string) {
		c.announce(log, s.Config(), listener.Addr(), needsSetup, setupToken)
	})
	var ended interruption
	if err == nil && errors.As(context.Cause(ctx), &ended) {
		log.Info("stopped", "signal", ended.signal.String())
		return errStopped
	}
	return err
}

// errStopped ends a server that was asked to stop: that is its normal end.
var errStopped = exitCode(0)

// logSettings writes the warnings and where the managed settings come from.
func (c *cli) logSettings(log *slog.Logger, cfg *config.Server) {
	for _, w := range cfg.Warnings {
		log.Warn(w)
	}
	for _, s := range cfg.Settings() {
		if s.Managed != "" && s.Value != "" && s.Source != config.SourceDefault {
			log.Info("setting", "name", s.Name, "source", s.Source)
		}
	}
	if cfg.EncryptionKey.Source == config.KeyEphemeral {
		log.Warn("there is no encryption key: until the first run is finished, no secret can be stored")
	}
	log.Info("database", "url", cfg.Database.String())
}

// announce says where the server is and what to do next.
func (c *cli) announce(log *slog.Logger, cfg *config.Server, address net.Addr, needsSetup bool, setupToken string) {
	url := cfg.AppURL
	if url == "" {
		url = "http://" + browsable(address)
	}
	log.Info("ready", "url", url, "listen", address.String(), "setup_needed", needsSetup)
	if needsSetup && setupToken != "" {
		log.Info("set-up token for the first run over HTTP", "setup_token", setupToken, "file", "heartlock_data/"+server.SetupTokenFile)
	}
	if !isTerminal(c.streams.Err) { // a log that programs read, line by line
		if needsSetup {
			log.Info("the server is not set up yet", "next", nextForSetup(cfg, url))
		}
		return
	}
	c.say("\nHeartlock is ready at %s", url)
	if needsSetup {
		c.say("To create the first administrator, %s\n", nextForSetup(cfg, url))
	}
}

// nextForSetup says how the first administrator is made.
func nextForSetup(cfg *config.Server, url string) string {
	command := thisProgram() + " onboard"
	if cfg.DisableOnboarding {
		return "run `" + command + " --force` in " + cfg.Root
	}
	return "open " + url + " in a browser, or run `" + command + "` in " + cfg.Root
}

// thisProgram is what a person types to run this program again, in the directory
// in which it runs.
func thisProgram() string {
	path, err := os.Executable()
	if err != nil {
		return "heartlock"
	}
	if strings.Contains(path, string(filepath.Separator)+"go-build") {
		return "go run ."
	}
	if found, err := exec.LookPath("heartlock"); err == nil && sameFile(found, path) {
		return "heartlock"
	}
	if strings.ContainsAny(path, " \t") {
		return strconv.Quote(path)
	}
	return path
}

func sameFile(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

// browsable is an address that a browser on this machine can open.
func browsable(address net.Addr) string {
	host, port, err := net.SplitHostPort(address.String())
	if err != nil {
		return address.String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() || ip.IsLoopback() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
