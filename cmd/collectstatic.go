package cmd

import (
	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/web"
)

func newCollectStaticCommand(c *cli) *cobra.Command {
	f := &envFileFlag{}
	cmd := &cobra.Command{
		Use:   "collectstatic",
		Short: "Write the pages' files for a web server that serves them itself",
		Long: `Writes the style sheets, scripts and pictures of the pages below STATIC_ROOT, with
compressed copies (.gz), for a web server or CDN that answers STATIC_URL itself.
Without one this is not needed: the server has these files in itself.

The files stand in a folder that is named after their content, so they can be
cached for ever. Folders of former versions stay; remove them when no server of
that version runs any more.` + exits(),
		Example: `  heartlock collectstatic
  STATIC_ROOT=/srv/www/static heartlock collectstatic`,
		Args: takes(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			cfg, err := config.LoadServer(f.options(c, nil))
			if err != nil {
				return err
			}
			done, err := web.CollectStatic(cfg.Static.Root)
			if err != nil {
				return err
			}
			c.say("%d files written to %s, %d were there.", done.Written, done.Dir, done.Kept)
			return nil
		},
	}
	f.register(cmd)
	return cmd
}
