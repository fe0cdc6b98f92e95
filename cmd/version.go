package cmd

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versionInfo is what `version --json` prints.
type versionInfo struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Date     string `json:"date"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func newVersionCommand(c *cli) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Long:  "Prints which version of Heartlock this is and what it was built from." + exits(),
		Example: `  heartlock version
  heartlock version --json | jq -r .commit`,
		Args: takes(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return c.printJSON(c.build.info())
			}
			return printVersion(c)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printVersion(c *cli) error {
	v := c.build.info()
	text := "heartlock " + v.Version
	if v.Commit != "" {
		text += fmt.Sprintf(" (commit %s, %s)", v.Commit, v.Date)
	}
	return c.printLine(fmt.Sprintf("%s %s %s", text, v.Go, v.Platform))
}

// info adds to what was set at build time what the Go tool knows.
func (b Build) info() versionInfo {
	v := versionInfo{b.Version, b.Commit, b.Date, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
	if v.Version == "" {
		v.Version = "dev"
	}
	if v.Commit != "" {
		return v
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if main := info.Main.Version; b.Version == "" && main != "" && main != "(devel)" {
		v.Version = main
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.time":
			v.Date = s.Value
		}
	}
	return v
}

// userAgent names this program to servers.
func (b Build) userAgent() string {
	version := b.Version
	if version == "" {
		version = "dev"
	}
	return fmt.Sprintf("heartlock/%s (%s)", version, runtime.GOOS)
}
