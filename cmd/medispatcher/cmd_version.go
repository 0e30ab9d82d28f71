package main

import (
	"github.com/spf13/cobra"

	"github.com/solate/medispatcher/cmd/internal/cli"
)

func (a *app) versionCommand() *cobra.Command {
	return a.jsonFlag(&cobra.Command{
		Use:   "version",
		Short: "Print version, commit, build date and Go version",
		Args:  cli.NoArgs,
		RunE: func(_ *cobra.Command, _ []string) error {
			if a.json {
				return cli.WriteJSON(a.stdout, readBuild(), "  ")
			}
			_, err := a.stdout.Write([]byte(readBuild().String() + "\n"))
			return err
		},
	}, "print JSON")
}
