package cmd

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/charmbracelet/huh"
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
	in, err := c.onboardAnswers(ctx, cmd, o)
	if err != nil {
		return err
	}
	return c.finishOnboarding(ctx, o, cfg, in)
}

// onboardAnswers collects the answers: from the flags, and from the form for
// what is missing.
func (c *cli) onboardAnswers(ctx context.Context, cmd *cobra.Command, o *onboardOptions) (in api.OnboardRequest, err error) {
	asks := !o.yes && isTerminal(c.streams.In) && isTerminal(c.streams.Err)
	if !asks && o.email == "" {
		return in, wrongUse(cmd, "The administrator's address is missing; give it with --email.")
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
		if in.Admin.Password, err = c.onboardForm(ctx, o, in.Admin.Password); err != nil {
			return in, err
		}
	}
	in.AppURL, in.DatabaseURL = o.appURL, api.NewValue(o.databaseURL)
	in.Admin.Email, in.Admin.FirstName, in.Admin.LastName = o.email, o.firstName, o.lastName
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

// onboardForm asks on the terminal. Every answer is checked again by the server
// code: at the end of input a form takes what it has.
func (c *cli) onboardForm(ctx context.Context, o *onboardOptions, given api.Value) (api.Value, error) {
	password, again, goOn := given.Reveal(), given.Reveal(), true
	fields := []huh.Field{
		huh.NewInput().Title("Administrator's e-mail").Value(&o.email).Validate(notEmpty("An address is needed.")),
		huh.NewInput().Title("First name").Description("May be empty.").Value(&o.firstName),
		huh.NewInput().Title("Last name").Description("May be empty.").Value(&o.lastName),
	}
	if !o.password.stdin {
		fields = append(fields,
			huh.NewInput().Title("Password").Description("At least 8 characters; 15 or more are better.").
				EchoMode(huh.EchoModePassword).Value(&password).Validate(notEmpty("A password is needed.")),
			huh.NewInput().Title("Password again").EchoMode(huh.EchoModePassword).Value(&again).Validate(func(s string) error {
				if s != password {
					return errors.New("The two passwords differ.") //nolint:staticcheck // shown to a person
				}
				return nil
			}))
	}
	form := huh.NewForm(
		huh.NewGroup(fields...),
		huh.NewGroup(
			huh.NewConfirm().Title("Sign this terminal in as the administrator?").
				Description("Stores a personal token, so that commands such as `heartlock projects` work.").Value(&o.login),
			huh.NewConfirm().Title("Set the server up now?").Value(&goOn),
		),
	).WithAccessible(o.accessible || terminalType(c.environ) == "dumb").WithInput(c.streams.In).WithOutput(c.streams.Err)
	err := form.RunWithContext(ctx)
	switch {
	case errors.Is(err, huh.ErrUserAborted):
		return api.Value{}, exitCode(130)
	case err != nil:
		return api.Value{}, fault.Wrap(fault.Usage, err, "The form can not be shown on this terminal; use the flags and --yes")
	case !goOn:
		c.say("Nothing was changed.")
		return api.Value{}, exitCode(1)
	case password != again:
		return api.Value{}, fault.New(fault.Usage, "The two passwords differ.")
	}
	return api.NewValue(password), nil
}

func notEmpty(message string) func(string) error {
	return func(s string) error {
		if strings.TrimSpace(s) == "" {
			return errors.New(message)
		}
		return nil
	}
}

// terminalType is the terminal's type.
func terminalType(environ []string) string {
	for _, v := range environ {
		if term, ok := strings.CutPrefix(v, "TERM="); ok {
			return term
		}
	}
	return ""
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
		return err
	}
	c.say("%s administers this server now.", answer.Account.Email)
	if answer.EncryptionKey != nil {
		c.say("\nThis is the encryption key %s. Save it in a safe place now: without it the\nstored secrets can not be read by anybody. It is not shown again.\n", answer.Fingerprint)
		if err := c.write([]byte(answer.EncryptionKey.Reveal() + "\n")); err != nil {
			return err
		}
	}
	if !o.login {
		return nil
	}
	return c.storeOnboardToken(cfg, in.AppURL, token)
}

// storeOnboardToken signs the terminal in at the address under which the server
// is reached from here.
func (c *cli) storeOnboardToken(cfg *config.Server, appURL string, token api.Value) error {
	origin := appURL
	if origin == "" {
		origin = cfg.AppURL
	}
	if origin == "" {
		origin = "http://" + localAddress(cfg.ListenAddress)
	}
	dir, err := c.userConfigDir()
	if err != nil {
		return fault.Wrap(fault.Usage, err, "There is no place for the token: "+err.Error())
	}
	entry := client.StoredToken{Token: token, SavedAt: c.now().UTC()}
	if err := client.NewTokenStore(filepath.Join(dir, "heartlock")).Put(strings.TrimRight(origin, "/"), entry); err != nil {
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
