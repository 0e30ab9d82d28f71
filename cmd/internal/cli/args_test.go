package cli

import (
	"testing"

	"github.com/spf13/cobra"
)

// TestFlagErrors: a value of the wrong kind is refused in words of the command line, not of Go.
func TestFlagErrors(t *testing.T) {
	t.Parallel()
	for arg, want := range map[string]string{
		"--n=x":                    `--n "x": give a whole number; see c --help`,
		"--n=99999999999999999999": `--n "99999999999999999999": give a whole number; see c --help`,
		"--f=x":                    `--f "x": give a number; see c --help`,
		"--b=x":                    `--b "x": give true or false; see c --help`,
		"--d=5":                    `--d "5": give a duration such as 500ms or 1m30s; see c --help`,
		"--d=5parsecs":             `--d "5parsecs": give a duration such as 500ms or 1m30s; see c --help`,
	} {
		cmd := &cobra.Command{Use: "c"}
		cmd.Flags().Int("n", 0, "")
		cmd.Flags().Float64("f", 0, "")
		cmd.Flags().Bool("b", false, "")
		cmd.Flags().Duration("d", 0, "")
		if err := FlagError(cmd, cmd.ParseFlags([]string{arg})); err.Error() != want {
			t.Errorf("%s: %v, want %s", arg, err, want)
		}
	}
}
