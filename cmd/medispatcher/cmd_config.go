package main

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "config",
		GroupID: groupOperate,
		Short:   "Show the effective configuration, secrets masked",
		Long: `Show every variable, its value and where that comes from: env, file (-f) or
default. Exit 2 when serve would refuse to start with it, every problem being listed.`,
		Example: `  medispatcher config
  medispatcher -f production.env config --json`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			env, problems := a.environment(needsRedis | needsListen)
			if env.settings.values == nil { // the file is unreadable: there is nothing to show
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

// shownVariable is a line of the listing.
type shownVariable struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Source source `json:"source"`
}

func (e *environment) showConfig() error {
	var list []shownVariable
	fields := reflect.ValueOf(e.cfg)
	for _, v := range variables() {
		value := formatValue(fields.Field(v.index).Interface())
		if raw, ok := e.settings.values[v.name]; ok && e.settings.unparsed[v.name] {
			value = raw // what is complained of must be what is shown
		}
		list = append(list, shownVariable{v.name, v.show(value), e.settings.source(v.name)})
	}
	if e.json {
		return writeJSON(e.stdout, list, "  ")
	}
	t := table{header: []string{"NAME", "VALUE", "SOURCE"}}
	for _, v := range list {
		if v.Value == "" {
			v.Value = "(none)"
		}
		t.add(v.Name, v.Value, string(v.Source))
	}
	return t.write(e.stdout)
}

func formatValue(value any) string {
	switch value := value.(type) {
	case []string:
		return strings.Join(value, ",")
	case time.Duration:
		return shortDuration(value)
	}
	return fmt.Sprint(value)
}
