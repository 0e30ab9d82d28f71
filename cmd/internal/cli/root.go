package cli

import (
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher/cmd/internal/config"
)

// usageTemplate is the one of cobra, without what that says twice.
const usageTemplate = `Usage:
  {{.UseLine}}{{if .HasExample}}

Examples:
{{.Example}}{{end}}{{if .HasAvailableSubCommands}}{{$all := .Commands}}{{range $group := .Groups}}

{{.Title}}{{range $all}}{{if eq .GroupID $group.ID}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}

{{if .Groups}}More:{{else}}Commands:{{end}}{{range $all}}{{if and (not .GroupID) (or .IsAvailableCommand (eq .Name "help"))}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableInheritedFlags}}

Flags of all commands:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableSubCommands}}

{{.CommandPath}} COMMAND --help explains a command.{{end}}
`

// Root gives the root command of a program what both programs share: -f, --help, --version, and the form of help
// and of mistakes.
func Root(root *cobra.Command, build Build, envFile *string) {
	root.SilenceUsage, root.SilenceErrors = true, true
	root.Version = "see the template" // cobra adds the flag only where there is one
	root.SetVersionTemplate(build.String() + "\n")
	root.SetFlagErrorFunc(FlagError)
	root.SetUsageTemplate(usageTemplate)
	root.PersistentFlags().StringVarP(envFile, "env-file", "f", "", "dotenv `FILE` with variables; those of the environment win")
	root.InitDefaultHelpFlag()
	root.Flags().Lookup("help").Usage = "explain a command"
	root.InitDefaultVersionFlag()
	root.Flags().Lookup("version").Usage = "print version, commit, build date and Go version"
}

// Load loads the configuration for a command, and makes the log on stderr that it asks for. It warns
// of unknown variables there.
func Load(environ []string, envFile string, n config.Needs, stderr io.Writer) (config.Config, *config.Settings, *slog.Logger, error) {
	cfg, settings, err := config.Load(environ, envFile, n)
	log := NewLogger(stderr, cfg.LogFormat, cfg.LogLevel, environ)
	if settings != nil {
		settings.WarnUnknown(log)
	}
	return cfg, settings, log, err
}
