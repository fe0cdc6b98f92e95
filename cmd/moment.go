package cmd

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/heartlock/heartlock/pkg/api"
)

// momentFlags name a former state of an environment.
type momentFlags struct{ revision, at string }

func (f *momentFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.revision, "revision", "", "`NUMBER` of a revision of the environment (see heartlock environments history)")
	cmd.Flags().StringVar(&f.at, "at", "", "a `TIME` such as 2027-01-31T12:00:00Z, or how long ago, such as 90m or 48h")
	cmd.MarkFlagsMutuallyExclusive("revision", "at")
}

func (f *momentFlags) given() bool { return f.revision != "" || f.at != "" }

// read finds out what is meant; both results are nil if nothing was given.
func (f *momentFlags) read(cmd *cobra.Command) (revision *int64, at *time.Time, err error) {
	switch {
	case f.revision != "":
		n, err := strconv.ParseInt(f.revision, 10, 64)
		if err != nil || n < 0 {
			return nil, nil, wrongUse(cmd, "--revision must be a whole number from 0.")
		}
		return &n, nil, nil
	}
	at, err = readMoment(cmd, "--at", f.at)
	return nil, at, err
}

// readMoment reads a time, or how long ago it was; nil if nothing was given.
func readMoment(cmd *cobra.Command, flag, text string) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		t := time.Now().Add(-ago).UTC()
		return &t, nil
	}
	t, ok := api.ParseTime(text)
	if !ok {
		return nil, wrongUse(cmd, "%s must be a time such as 2027-01-31T12:00:00Z, or how long ago, such as 90m or 48h.", flag)
	}
	return &t, nil
}
