package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/internal/config"
	"github.com/solate/medispatcher/cmd/medispatcher/migrate"
)

// migrateFlags are where the old things are, and where the new ones go.
type migrateFlags struct {
	config, tables, out string
	force               bool
}

func (a *app) migrateCommand() *cobra.Command {
	var f migrateFlags
	cmd := &cobra.Command{
		Use:     "migrate",
		GroupID: groupOperate,
		Short:   "Carry over the settings and subscriptions of medispatcher 2",
		Long: `Read a medispatcher.toml and a dump of the tables of medispatcher 2 (beanstalkd, MySQL and
Redis). Write the environment file of this version and one file for each subscription, with
"encoding": "form", so that workers need no change. What could not be carried over is said
on stderr, by file and line. Nothing is written to Redis.

The directory of --tables holds subscriptions, message_classes and subscription_params, each
as .csv with a head line, as .tsv (mysql --batch), or as .json (an array, or an object a
line). docs/MIGRATION.md has the dump commands, and the cut-over that loses nothing.

Exit code 1: a subscription in use was left out.`,
		Example: `  medispatcher migrate --config /etc/medispatcher.toml --tables dump --out new
  medispatcher -f new/medispatcher.env config
  for f in new/subscriptions/*.json; do
    medispatcher -f new/medispatcher.env sub put "$(basename "$f" .json)" --file "$f"
  done`,
		Args: cli.NoArgs,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.command(0, func(_ context.Context, env *environment, _ []string) error { return env.migrate(f) })(cmd, args)
	}
	a.jsonFlag(cmd, "print what was written, and the notes, as JSON")
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.config, "config", "", "the old `FILE`, medispatcher.toml")
	flags.StringVar(&f.tables, "tables", "", "`DIR` with the dump of the tables")
	flags.StringVar(&f.out, "out", "", "`DIR` to write to; it is made")
	flags.BoolVar(&f.force, "force", false, "replace the files of an earlier run")
	return cmd
}

const (
	envFileName  = "medispatcher.env"
	subsDirName  = "subscriptions"
	maxOldConfig = 1 << 20
)

func (e *environment) migrate(f migrateFlags) error {
	if f.config == "" && f.tables == "" {
		return cli.Usagef("migrate: give --config, --tables or both; see medispatcher migrate --help")
	}
	if f.out == "" {
		return cli.Usagef("migrate: --out is missing: the directory to write to")
	}
	var r migrate.Result
	if f.config != "" {
		text, err := os.ReadFile(f.config)
		if err != nil {
			return cli.Usagef("cannot read %s: %v", f.config, config.WithoutPath(err))
		}
		if len(text) > maxOldConfig {
			return cli.Usagef("%s is larger than %s; is it a medispatcher.toml?", f.config, medispatcher.Size(maxOldConfig))
		}
		if err := r.Settings(filepath.Base(f.config), text); err != nil {
			return err
		}
	}
	if err := e.migrateTables(f, &r); err != nil {
		return err
	}
	if err := writeMigrated(f, &r); err != nil {
		return err
	}
	return e.tellMigrated(f, &r)
}

// migrateTables checks the subscriptions against the settings that were carried over.
func (e *environment) migrateTables(f migrateFlags, r *migrate.Result) error {
	var environ []string
	for _, v := range r.Variables {
		environ = append(environ, v.Name+"="+v.Value)
	}
	cfg, _, err := config.Load(environ, "", 0)
	if err != nil {
		from := r.Origins(err.Error())
		if from != "" {
			from = " (" + from + ")"
		}
		return fmt.Errorf("the settings that were carried over are not good; correct them in %s: %w%s", f.config, err, from)
	}
	if f.tables == "" {
		return nil
	}
	rules := cfg.Rules()
	return r.Tables(f.tables, &rules)
}

// writeMigrated writes the files. They hold passwords.
func writeMigrated(f migrateFlags, r *migrate.Result) error {
	files := map[string][]byte{}
	if f.config != "" {
		var env strings.Builder
		for _, v := range r.Variables {
			if v.Comment != "" {
				env.WriteString("# " + v.Comment + "\n")
			}
			env.WriteString(config.EnvLine(v.Name, v.Value))
		}
		files[envFileName] = []byte(env.String())
	}
	for _, s := range r.Subscriptions {
		files[filepath.Join(subsDirName, s.ID+".json")] = s.Document
	}
	var earlier []string
	if f.tables != "" {
		there, _ := os.ReadDir(filepath.Join(f.out, subsDirName))
		for _, e := range there {
			if filepath.Ext(e.Name()) == ".json" {
				earlier = append(earlier, filepath.Join(f.out, subsDirName, e.Name()))
			}
		}
	}
	if !f.force {
		for _, name := range earlier {
			return fmt.Errorf("%s is there already; give another --out, or --force", name)
		}
		for name := range files {
			if _, err := os.Lstat(filepath.Join(f.out, name)); !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("%s is there already; give another --out, or --force", filepath.Join(f.out, name))
			}
		}
	}
	if err := os.MkdirAll(filepath.Join(f.out, subsDirName), 0o700); err != nil {
		return err
	}
	for _, name := range earlier { // else a loop over the directory puts what an earlier run wrote
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	for name, text := range files {
		if err := writePrivate(filepath.Join(f.out, name), text); err != nil {
			return err
		}
	}
	return nil
}

// writePrivate writes a file that only its owner may read, also where one was that others might.
func writePrivate(name string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".migrate-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

func (e *environment) tellMigrated(f migrateFlags, r *migrate.Result) error {
	ids := make([]string, len(r.Subscriptions))
	for i, s := range r.Subscriptions {
		ids[i] = s.ID
	}
	if e.json {
		notes := r.Notes
		if notes == nil {
			notes = []migrate.Note{}
		}
		err := cli.WriteJSON(e.stdout, map[string]any{"out": f.out, "variables": len(r.Variables), "subscriptions": ids, "notes": notes}, "")
		if err != nil {
			return err
		}
	} else {
		for _, n := range r.Notes {
			_, _ = fmt.Fprintln(e.stderr, cli.Clean(n.String()))
		}
		_, _ = fmt.Fprintf(e.stdout, "%s and %s written to %s; %s to read above\n", cli.Counted(int64(len(r.Variables)), "variable"),
			cli.Counted(int64(len(ids)), "subscription"), cli.Clean(f.out), cli.Counted(int64(len(r.Notes)), "note"))
	}
	if n := r.Lost(); n > 0 {
		return fmt.Errorf("%s in use left out, see above", cli.Counted(int64(n), "subscription"))
	}
	return nil
}
