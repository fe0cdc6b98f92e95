package cmd

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/fault"
)

type configOptions struct {
	envFileFlag
	onlySet bool
	json    bool
}

func newConfigCommand(c *cli) *cobra.Command {
	o := &configOptions{}
	cmd := &cobra.Command{
		Use:   "config [NAME]",
		Short: "Show every setting of the server and where it comes from",
		Long: `Shows the settings that a server started in this directory would have: the value,
the source it comes from, and the sources that have a value too but do not count.
A setting comes from the first that has it: a flag of serve, appconfig.json, the
environment, .env, the default. Secrets are shown as ***.

With a NAME it shows that one setting and explains it.` + exits(fault.NotFound),
		Example: `  heartlock config
  heartlock config --set                what is not left at its default
  heartlock config DATABASE_URL`,
		Args: takes(0, 1, "at most one name of a setting"),
		RunE: func(_ *cobra.Command, args []string) error { return c.config(o, args) },
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return settingNames(), cobra.ShellCompDirectiveNoFileComp
		},
	}
	o.register(cmd)
	cmd.Flags().BoolVar(&o.onlySet, "set", false, "only the settings that are not left at their default")
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

func (c *cli) config(o *configOptions, args []string) error {
	var only *config.Definition
	if len(args) == 1 {
		found, err := findSetting(args[0])
		if err != nil {
			return err
		}
		only = &found
	}
	cfg, err := config.LoadServer(o.options(c, nil))
	if err != nil {
		return err
	}
	settings := shownSettings(cfg, o, only)
	switch {
	case o.json && only != nil:
		return c.printJSON(settings[0])
	case o.json:
		return c.printJSON(settings)
	case only != nil:
		return c.printSetting(settings[0], *only)
	}
	return c.printSettings(settings)
}

// shownSettings picks the settings that were asked for.
func shownSettings(cfg *config.Server, o *configOptions, only *config.Definition) []config.Setting {
	settings := []config.Setting{} // an empty list is [] in JSON
	for _, s := range cfg.Settings() {
		if s.Overrides == nil {
			s.Overrides = []string{}
		}
		if only != nil {
			if s.Name == only.Name {
				return []config.Setting{s}
			}
			continue
		}
		if o.onlySet && (s.Source == config.SourceDefault || s.Value == "") {
			continue
		}
		settings = append(settings, s)
	}
	return settings
}

// printSettings has the values in the last column, because some are long.
func (c *cli) printSettings(settings []config.Setting) error {
	t := table{head: []string{"NAME", "SOURCE", "OVERRIDES", "VALUE"}}
	for _, s := range settings {
		t.add(s.Name, s.Source, strings.Join(s.Overrides, ", "), s.Value)
	}
	return c.printTable(t)
}

func (c *cli) printSetting(s config.Setting, d config.Definition) error {
	t := table{head: []string{"NAME", s.Name}}
	t.add("VALUE", s.Value)
	t.add("SOURCE", s.Source)
	for _, line := range [][2]string{
		{"OVERRIDES", strings.Join(s.Overrides, ", ")},
		{"DEFAULT", shownDefault(d)},
		{"TYPE", d.Kind},
		{"ALIASES", strings.Join(d.Aliases, ", ")},
		{"MANAGED", managed(d)},
		{"ABOUT", d.Doc},
	} {
		if line[1] != "" {
			t.add(line[0], line[1])
		}
	}
	return c.printTable(t)
}

// shownDefault is the default in words; a secret's is not worth showing.
func shownDefault(d config.Definition) string {
	switch {
	case d.Secret && !strings.Contains(d.Default, "://"):
		return ""
	case d.DebugDefault != "":
		return d.Default + " (with DEBUG=True " + d.DebugDefault + ")"
	}
	return d.Default
}

func managed(d config.Definition) string {
	if d.Managed == "" {
		return ""
	}
	return d.Managed + " in " + config.AppConfigName
}

// findSetting finds a setting by its name or by an older name of it, in capitals
// or not. The text is repeated only if it could be a name: it may be a value that
// stands in the wrong place.
func findSetting(text string) (config.Definition, error) {
	name := strings.ToUpper(text)
	for _, d := range config.Definitions() {
		if d.Name == name || slices.Contains(d.Aliases, name) {
			return d, nil
		}
	}
	if len(name) > 40 || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") != "" {
		return config.Definition{}, fault.New(fault.NotFound, "There is no such setting. `heartlock config` lists them all.")
	}
	message := "There is no setting " + name + "."
	if similar := similarSettings(name); len(similar) > 0 {
		message += " Did you mean " + strings.Join(similar, " or ") + "?"
	}
	return config.Definition{}, fault.New(fault.NotFound, message+" `heartlock config` lists them all.")
}

// similarSettings are those that have the text in their name.
func similarSettings(text string) []string {
	var similar []string
	for _, name := range settingNames() {
		if strings.Contains(name, text) || strings.HasSuffix(text, "_"+name) {
			similar = append(similar, name)
		}
	}
	if len(similar) > 3 {
		return nil
	}
	return similar
}

func settingNames() []string {
	var names []string
	for _, d := range config.Definitions() {
		names = append(names, d.Name)
	}
	return names
}
