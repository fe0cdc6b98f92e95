package cmd

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/client"
	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/server"
)

type onboardOptions struct {
	envFileFlag
	password    passwordFlag
	yes         bool
	force       bool
	login       bool
	accessible  bool
	email       string
	firstName   string
	lastName    string
	appURL      string
	databaseURL string
	keyFile     string
}

func newOnboardCommand(c *cli) *cobra.Command {
	o := &onboardOptions{}
	cmd := &cobra.Command{
		Use:   "onboard",
		Short: "Set the server up: create the first administrator",
		Long: `Sets a new server up. On a terminal it asks; every question is also a flag, and
with --yes nothing is asked. Run it in the server's directory, before the server
starts for the first time or while it runs: a running server takes the result
over by itself.

In production (DEBUG=False) an encryption key is generated if none is configured.
It is kept in heartlock_data/appconfig.json and printed once on standard output:
save it, without it the stored secrets can not be read by anybody.` + exits(fault.NotFound, fault.Unavailable),
		Example: `  heartlock onboard
  heartlock onboard --yes --email ann@example.com --password-stdin --login < password.txt`,
		Args: takes(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.onboard(cmd.Context(), cmd, o) },
	}
	o.register(cmd)
	o.password.register(cmd)
	flags := cmd.Flags()
	flags.BoolVarP(&o.yes, "yes", "y", false, "ask nothing")
	flags.BoolVar(&o.force, "force", false, "also when HEARTLOCK_DISABLE_ONBOARDING is set")
	flags.BoolVar(&o.login, "login", false, "sign this user in: store a personal token for the client commands")
	flags.BoolVar(&o.accessible, "accessible", false, "ask line by line, for screen readers")
	flags.StringVar(&o.email, "email", "", "address of the first administrator")
	flags.StringVar(&o.firstName, "first-name", "", "first name")
	flags.StringVar(&o.lastName, "last-name", "", "last name")
	flags.StringVar(&o.appURL, "app-url", "", "public address of the server, such as https://secrets.example.com")
	flags.StringVar(&o.databaseURL, "database-url", "", "database (others can see it here; better set DATABASE_URL)")
	flags.StringVar(&o.keyFile, "encryption-key-file", "", "file with an encryption key from heartlock genkey, or - for standard input")
	return cmd
}

func (c *cli) onboard(ctx context.Context, cmd *cobra.Command, o *onboardOptions) error {
	restrictFileModes()
	cfg, err := config.LoadServer(o.options(c, nil))
	if err != nil {
		return err
	}
	if cfg.DisableOnboarding && !o.force {
		return fault.New(fault.Usage, "HEARTLOCK_DISABLE_ONBOARDING is set. Add --force to set the server up all the same.")
	}
	in, err := c.onboardAnswers(ctx, cmd, o, cfg)
	if err != nil {
		return err
	}
	return c.finishOnboarding(ctx, o, cfg, in)
}

// onboardAnswers collects the answers: from the flags, and from the form for
// what is missing.
func (c *cli) onboardAnswers(ctx context.Context, cmd *cobra.Command, o *onboardOptions, cfg *config.Server) (in api.OnboardRequest, err error) {
	asks := !o.yes && isTerminal(c.streams.In) && isTerminal(c.streams.Err)
	if !asks && o.email == "" {
		return in, wrongUse(cmd, "The administrator's address is missing; give it with --email.")
	}
	if o.keyFile == "-" && o.password.stdin {
		return in, wrongUse(cmd, "Standard input can not hold both the password and the key; give the key in a file.")
	}
	if o.keyFile != "" {
		if in.EncryptionKey, err = c.readKeyFile(ctx, o.keyFile); err != nil {
			return in, err
		}
	}
	if !asks || o.password.stdin {
		if in.Admin.Password, err = o.password.read(ctx, c, cmd); err != nil {
			return in, err
		}
	}
	if asks {
		if in.Admin.Password, err = c.onboardForm(ctx, o, cfg, in.Admin.Password); err != nil {
			return in, err
		}
	}
	in.AppURL, in.DatabaseURL = o.appURL, api.NewValue(o.databaseURL)
	in.Admin.Email, in.Admin.FirstName, in.Admin.LastName = strings.TrimSpace(o.email), o.firstName, o.lastName
	return in, nil
}

func (c *cli) readKeyFile(ctx context.Context, name string) (api.Value, error) {
	if name == "-" {
		v, err := readValue(ctx, c.streams.In, "Standard input")
		return trimOneLineBreak(v), err
	}
	file, err := c.openValueFile(name)
	if err != nil {
		return api.Value{}, err
	}
	defer func() { _ = file.Close() }()
	v, err := readValue(ctx, file, "The key file")
	return trimOneLineBreak(v), err
}

// onboardWords are the answers as the person calls them.
func onboardWords() map[string]string {
	return map[string]string{
		"body.admin.email":    "The administrator's address (--email)",
		"body.admin.password": "The password",
		"body.admin":          "--first-name or --last-name",
		"body.app_url":        "--app-url",
		"body.database_url":   "--database-url",
		"body.encryption_key": "--encryption-key-file",
	}
}

func (c *cli) finishOnboarding(ctx context.Context, o *onboardOptions, cfg *config.Server, in api.OnboardRequest) error {
	name := ""
	if o.login {
		name = "heartlock onboard"
		if host, err := os.Hostname(); err == nil && api.CheckName(name+" on "+host) == "" {
			name += " on " + host
		}
	}
	answer, token, err := server.Onboard(ctx, cfg, in, name, c.quiet())
	if errors.Is(err, fault.NotFound) {
		return fault.Wrap(fault.Conflict, err, "This server is set up already. To add an administrator, run `heartlock admin create`.")
	}
	if err != nil {
		return inWordsOfTheCommand(err, onboardWords())
	}
	c.say("%s administers this server now.", answer.Account.Email)
	if answer.EncryptionKey != nil {
		c.say("\nThis is the encryption key %s. Save it in a safe place now: without it the\nstored secrets can not be read by anybody. It is not shown again.\n", answer.Fingerprint)
		if err := c.write([]byte(answer.EncryptionKey.Reveal() + "\n")); err != nil {
			return err
		}
	}
	if o.login {
		err = c.storeOnboardToken(cfg, in.AppURL, token)
	}
	if err == nil && isTerminal(c.streams.Err) {
		c.say("Next: `%[1]s serve`, unless it runs already; then `%[1]s projects create NAME`.", thisProgram())
	}
	return err
}

// storeOnboardToken signs the terminal in at the address under which the server
// is reached from here.
func (c *cli) storeOnboardToken(cfg *config.Server, appURL string, token api.Value) error {
	origin := cfg.AppURL
	if origin == "" {
		origin = "http://" + localAddress(cfg.ListenAddress)
	}
	if appURL != "" { // valid, or onboarding would have refused it; stored as the client looks it up
		var err error
		if origin, err = config.ParseOrigin(strings.TrimRight(appURL, "/")); err != nil {
			return fault.Wrap(fault.Usage, err, sentence("--app-url", err.Error()))
		}
	}
	dir, err := c.userConfigDir()
	if err != nil {
		return fault.Wrap(fault.Usage, err, "There is no place for the token: "+err.Error())
	}
	entry := client.StoredToken{Token: token, SavedAt: c.now().UTC()}
	if err := client.NewTokenStore(filepath.Join(dir, "heartlock")).Put(origin, entry); err != nil {
		return err
	}
	c.say("This terminal is signed in at %s.", origin)
	return nil
}

// localAddress is the listen address as a client on this machine reaches it.
func localAddress(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && (ip.IsUnspecified() || ip.IsLoopback()) {
		host = "localhost"
	}
	return (&url.URL{Host: net.JoinHostPort(host, port)}).Host
}

// trimOneLineBreak takes away the line break that ends a line of a file or of
// echo's output.
func trimOneLineBreak(v api.Value) api.Value {
	text := v.Reveal()
	text = strings.TrimSuffix(text, "\n")
	return api.NewValue(strings.TrimSuffix(text, "\r"))
}
