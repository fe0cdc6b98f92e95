package web

import (
	"net/url"
	"slices"
	"strings"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/session"
	"github.com/heartlock/heartlock/pkg/vault"
)

// firstRunForm is what the form of the first run shows.
type firstRunForm struct {
	SetupToken bool   // is asked for
	AppURL     string // as the browser has addressed the server
	// What the server's configuration has decided is not asked for.
	AppURLFixed, DatabaseFixed, KeyFixed bool
	KeyInFile                            bool // a development server has made its key already
	Database                             string
	// DatabaseURL is what was typed, without its password; Retype: there was one.
	DatabaseURL string
	Retype      bool
	Key         string
}

// The choices of the form.
const (
	chooseSQLite   = "sqlite"
	choosePostgres = "postgres"
	chooseNewKey   = "generate"
	chooseOwnKey   = "own"
)

func (v *visit) firstRunForm(fixed []string) firstRunForm {
	options := v.site.options
	f := firstRunForm{
		SetupToken: options.NeedsSetupToken, AppURL: session.ConnectionOf(v).Scheme() + "://" + v.r.Host,
		AppURLFixed: slices.Contains(fixed, "app_url"), DatabaseFixed: slices.Contains(fixed, "database_url"),
		KeyFixed: slices.Contains(fixed, "encryption_key"), KeyInFile: options.Config.EncryptionKey.Source == config.KeyFromFile,
		Database: chooseSQLite, Key: chooseNewKey,
	}
	if v.input.Get("database") == choosePostgres {
		f.Database = choosePostgres
	}
	if v.input.Get("key") == chooseOwnKey {
		f.Key = chooseOwnKey
	}
	f.DatabaseURL, f.Retype = withoutPassword(v.text("database_url"), options.Config.Root)
	return f
}

// withoutPassword is a database URL as it may be put back into a form, and whether its
// password was left out. Of a text that is no such URL nothing is put back: its
// password may be anywhere.
func withoutPassword(text, root string) (rest string, left bool) {
	d, err := config.ParseDatabaseURL(text, root)
	if err != nil {
		return "", false
	}
	if d.Password.Reveal() == "" {
		return text, false
	}
	u, err := url.Parse(text)
	if err != nil || u.User == nil {
		return "", true
	}
	u.User = url.User(u.User.Username())
	// The two parsers part some passwords differently. What is left must still be the same
	// to the one that counts, but for the password.
	if now, err := config.ParseDatabaseURL(u.String(), root); err != nil || now.User != d.User || now.Password.Reveal() != "" {
		return "", true
	}
	return u.String(), true
}

// firstRunAnswers are what the form has sent. An address that is left as it was
// guessed is taken: it is shown, and can be changed.
func (v *visit) firstRunAnswers() api.OnboardRequest {
	in := api.OnboardRequest{
		SetupToken: api.NewValue(v.text("setup_token")), AppURL: v.text("app_url"),
		Admin: api.NewAdmin{Email: v.text("email"), Password: v.value("password"), FirstName: v.text("first_name"), LastName: v.text("last_name")},
	}
	if v.input.Get("database") == choosePostgres {
		in.DatabaseURL = api.NewValue(v.text("database_url"))
	}
	if v.input.Get("key") == chooseOwnKey {
		in.EncryptionKey = api.NewValue(v.text("encryption_key"))
	}
	return in
}

// checkFirstRun finds everything at once that is wrong with the answers by
// themselves: passwords and tokens are typed again for each attempt.
func (v *visit) checkFirstRun(in api.OnboardRequest) error {
	var fields []fault.Field
	find := func(name, problem string) {
		if problem != "" {
			fields = append(fields, fault.Field{Location: "body." + name, Message: problem})
		}
	}
	if in.AppURL != "" {
		_, err := config.ParseOrigin(strings.TrimRight(in.AppURL, "/"))
		find("app_url", problemOf(err))
	}
	if v.input.Get("database") == choosePostgres {
		find("database_url", databaseProblem(in.DatabaseURL.Reveal(), v.site.options.Config.Root))
	}
	if v.input.Get("key") == chooseOwnKey && in.EncryptionKey.Len() == 0 {
		find("encryption_key", "is needed, or let the server make one")
	}
	find("email", vault.EmailProblem(in.Admin.Email))
	find("password", vault.PasswordProblem(in.Admin.Password, in.Admin.Email))
	for name, typed := range map[string]string{"first_name": in.Admin.FirstName, "last_name": in.Admin.LastName} {
		if typed != "" {
			find(name, api.CheckName(typed))
		}
	}
	if len(fields) == 0 {
		return nil
	}
	return &fault.Error{Kind: fault.Invalid, Message: "Some answers can not be used.", Fields: fields}
}

// databaseProblem is what is wrong with a PostgreSQL URL before anybody connects.
func databaseProblem(text, root string) string {
	d, err := config.ParseDatabaseURLFromWizard(text, root)
	switch {
	case text == "":
		return "is needed, or choose SQLite"
	case err != nil:
		return err.Error()
	case d.Engine != config.Postgres:
		return "is not the URL of a PostgreSQL database; write postgres://user:password@host:5432/database"
	}
	return ""
}

func problemOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
