package main

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/internal/config"
)

// runE is what cobra calls.
type runE = func(cmd *cobra.Command, args []string) error

// app is one run of the program, before a command has its environment.
type app struct {
	started        bool // a command runs: what fails before is a mistake in the command line
	environ        []string
	envFile        string
	json           bool // --json
	stdin          io.Reader
	stdout, stderr io.Writer
	outlets        *outlets // in front of stdout and stderr of a command that runs for long; nil in others
	log            atomic.Pointer[slog.Logger]
}

// The groups of commands in the help.
const (
	groupRun     = "run"
	groupUse     = "use"
	groupOperate = "operate"
)

const rootLong = `medispatcher takes messages from a Redis stream and pushes each to the URLs of
everybody who subscribed to its topic, with retries and dead letters.

A producer needs no library:
  redis-cli XADD 'medis:{0}:incoming' '*' topic order.created body '{"order":42}'

Variables you will want first (medispatcher config lists all of them):
  MEDIS_REDIS_URL     the Redis to run on (redis://127.0.0.1:6379/0)
  MEDIS_LISTEN        address of the API and the panel (127.0.0.1:5601)
  MEDIS_ADMIN_TOKEN   token of the API and the panel
  MEDIS_LOG_LEVEL     debug, info, warn or error (info)
  MEDIS_DATA_LOG      file for messages that may need recovery by hand (-, stdout)

Exit codes: 0 done, 1 failed, 2 wrong arguments or configuration.`

const rootExample = `  medispatcher dev --demo                 try it: nothing else is needed
  medispatcher -f production.env          run a dispatcher (serve is the default)
  medispatcher sub put billing --topic 'order.*' --url http://127.0.0.1:8080/hook
  medispatcher publish order.created '{"order":42}'
  medispatcher status --watch`

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:                   "medispatcher [-f FILE.env] [COMMAND]",
		DisableFlagsInUseLine: true,
		Short:                 "A message dispatcher on Redis alone",
		Long:                  rootLong,
		Example:               rootExample,
		Args:                  cli.NoSuchCommand,
		RunE: a.lasting(config.NeedsRedis|config.NeedsListen, func(ctx context.Context, env *environment, _ []string) error {
			return serve(ctx, env)
		}),
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout) // first: the completion command keeps it
	root.SetErr(a.stderr)
	cli.Root(root, readBuild(), &a.envFile)
	root.SetHelpCommand(a.helpCommand())
	root.AddGroup(
		&cobra.Group{ID: groupRun, Title: "Run:"},
		&cobra.Group{ID: groupUse, Title: "Use:"},
		&cobra.Group{ID: groupOperate, Title: "Operate:"},
	)
	root.AddCommand(
		a.serveCommand(), a.devCommand(), a.receiveCommand(),
		a.publishCommand(), a.subCommand(),
		a.statusCommand(), a.statsCommand(), a.messageCommand(), a.deadCommand(),
		a.unroutedCommand(), a.quarantineCommand(), a.replayCommand(), a.kickCommand(), a.purgeCommand(), a.partitionsCommand(), a.recoverCommand(),
		a.migrateCommand(), a.alertCommand(), a.auditCommand(), a.doctorCommand(), a.healthCommand(), a.benchCommand(), a.sizeCommand(), a.configCommand(), a.versionCommand(),
	)
	a.completeArgs(root)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	if completion, _, err := root.Find([]string{"completion"}); err == nil {
		completion.Short = "Make a completion script for a shell"
		completion.Args = cli.NoSuchCommand
		completion.RunE = cli.NeedsCommand
	}
	return root
}

// jsonFlag adds --json, for programs that read what a command prints.
func (a *app) jsonFlag(cmd *cobra.Command, usage string) *cobra.Command {
	cmd.Flags().BoolVar(&a.json, "json", false, usage)
	return cmd
}

// helpCommand is the one of cobra, except that an unknown command is an error.
func (a *app) helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Explain a command",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 {
				return cli.NoSuchCommand(about, rest)
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

// command makes a cobra function of one that runs in an environment.
func (a *app) command(n config.Needs, do func(ctx context.Context, env *environment, args []string) error) runE {
	return func(cmd *cobra.Command, args []string) error {
		env, err := a.environment(n)
		if err != nil {
			return err
		}
		return do(cmd.Context(), env, args)
	}
}

// lasting is command for one that runs until it is stopped. A log that nobody reads must not block it.
func (a *app) lasting(n config.Needs, do func(ctx context.Context, env *environment, args []string) error) runE {
	return func(cmd *cobra.Command, args []string) error {
		a.unblock()
		return a.command(n, do)(cmd, args)
	}
}

// environment reads the configuration. After an error of type config.Problems the environment can still be
// shown, unless its settings are nil.
func (a *app) environment(n config.Needs) (*environment, error) {
	a.started = true
	cfg, settings, log, err := cli.Load(a.environ, a.envFile, n, a.stderr)
	a.log.Store(log)
	return &environment{
		cfg: cfg, settings: settings, environ: a.environ, log: log, outlets: a.outlets,
		stdin: a.stdin, stdout: a.stdout, stderr: a.stderr, json: a.json, build: readBuild(),
	}, err
}
