package main

import (
	"github.com/spf13/cobra"

	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/internal/config"
)

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "config",
		GroupID: groupOperate,
		Short:   "Show the effective configuration, secrets masked",
		Long: `Show every variable, its value and where that comes from: env, file (-f) or
default. Exit 2 if serve would refuse to start with it; every problem is listed.`,
		Example: `  medispatcher config
  medispatcher -f production.env config --json`,
		Args: cli.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			env, problems := a.environment(config.NeedsRedis | config.NeedsListen)
			if env.settings == nil { // the file is unreadable: there is nothing to show
				return problems
			}
			if err := env.showConfig(); err != nil {
				return err
			}
			return problems
		},
	}
	return a.jsonFlag(cmd, "print JSON")
}

func (e *environment) showConfig() error {
	list := e.settings.List(&e.cfg)
	if e.json {
		return cli.WriteJSON(e.stdout, list, "  ")
	}
	t := cli.Table{Header: []string{"NAME", "VALUE", "SOURCE"}}
	for _, v := range list {
		if v.Value == "" {
			v.Value = "(none)"
		}
		t.Add(v.Name, v.Value, string(v.Source))
	}
	return t.Write(e.stdout)
}
