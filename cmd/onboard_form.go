package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/huh"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

// onboardForm asks on the terminal and returns the password. Each answer is
// checked at once; the operation checks all of them again, because at the end of
// input a form takes what it has.
func (c *cli) onboardForm(ctx context.Context, o *onboardOptions, cfg *config.Server, given api.Value) (api.Value, error) {
	password, again, goOn := given.Reveal(), given.Reveal(), true
	groups := []*huh.Group{adminGroup(o, cfg)}
	if !o.password.stdin {
		groups = append(groups, passwordGroup(o, &password, &again))
	}
	if settingIsOpen(cfg, "HEARTLOCK_APP_URL") {
		groups = append(groups, addressGroup(o))
	}
	groups = append(groups, lastGroup(o, &goOn))
	form := huh.NewForm(groups...).
		WithProgramOptions(tea.WithReportFocus(), tea.WithFilter(leaveInOrder)).
		WithAccessible(o.accessible || terminalType(c.environ) == "dumb").
		WithInput(c.streams.In).WithOutput(c.streams.Err)
	err := form.RunWithContext(ctx)
	switch {
	case errors.Is(err, huh.ErrUserAborted):
		c.say("Nothing was changed.")
		return api.Value{}, exitCode(130) // as a shell says it of an interrupt
	case err != nil:
		return api.Value{}, fault.Wrap(fault.Usage, err, "The form can not be shown on this terminal. Use the flags and --yes.")
	case !goOn:
		c.say("Nothing was changed.")
		return api.Value{}, exitCode(1)
	case password != again:
		return api.Value{}, fault.New(fault.Usage, passwordsDiffer)
	}
	return api.NewValue(password), nil
}

// leaveInOrder lets an interrupt end the form as an answer does. Otherwise the
// terminal would be closed while it is still being read, and what is typed ahead
// could be lost or taken twice.
func leaveInOrder(_ tea.Model, msg tea.Msg) tea.Msg {
	if _, interrupted := msg.(tea.InterruptMsg); interrupted {
		return tea.QuitMsg{}
	}
	return msg
}

// adminGroup begins with where all this happens: somebody in the wrong directory
// should notice before there is a second server.
func adminGroup(o *onboardOptions, cfg *config.Server) *huh.Group {
	return huh.NewGroup(
		huh.NewInput().Title("E-mail").Value(&o.email).Validate(func(s string) error {
			return answerError("The address", vault.EmailProblem(strings.TrimSpace(s)))
		}),
		huh.NewInput().Title("First name").Description("May be empty.").Value(&o.firstName).Validate(validName),
		huh.NewInput().Title("Last name").Description("May be empty.").Value(&o.lastName).Validate(validName),
	).Title("The first administrator").Description(fmt.Sprintf("of the server in %s\nDatabase: %s", cfg.Root, cfg.Database))
}

func passwordGroup(o *onboardOptions, password, again *string) *huh.Group {
	return huh.NewGroup(
		huh.NewInput().Title("Password").Description("At least 8 characters; 15 or more are better.").
			EchoMode(huh.EchoModePassword).Value(password).Validate(func(s string) error {
			return answerError("The password", vault.PasswordProblem(api.NewValue(s), o.email))
		}),
		huh.NewInput().Title("Password again").EchoMode(huh.EchoModePassword).Value(again).Validate(func(s string) error {
			if s != *password {
				return errors.New(passwordsDiffer) //nolint:staticcheck // a sentence that the form shows
			}
			return nil
		}),
	)
}

func addressGroup(o *onboardOptions) *huh.Group {
	return huh.NewGroup(
		huh.NewInput().Title("Public address of the server").
			Description("Such as https://secrets.example.com. Leave it empty to try Heartlock on this machine.").
			Value(&o.appURL).Validate(validAppURL),
	)
}

func lastGroup(o *onboardOptions, goOn *bool) *huh.Group {
	return huh.NewGroup(
		huh.NewConfirm().Title("Sign this terminal in as the administrator?").
			Description("Stores a personal token, so that commands such as `heartlock projects` work.").Value(&o.login),
		huh.NewConfirm().Title("Set the server up now?").Value(goOn),
	)
}

func validName(s string) error {
	if s == "" {
		return nil
	}
	return answerError("The name", api.CheckName(s))
}

func validAppURL(s string) error {
	if s == "" {
		return nil
	}
	if _, err := config.ParseOrigin(strings.TrimRight(s, "/")); err != nil {
		return answerError("The address", err.Error())
	}
	return nil
}

// answerError is what a form shows under an answer; "" is no problem.
func answerError(name, problem string) error {
	if problem == "" {
		return nil
	}
	return errors.New(sentence(name, problem))
}

// settingIsOpen reports whether nobody has decided on a setting that onboarding
// may decide on.
func settingIsOpen(cfg *config.Server, name string) bool {
	for _, s := range cfg.Settings() {
		if s.Name == name {
			return s.Source == config.SourceDefault
		}
	}
	return false
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
