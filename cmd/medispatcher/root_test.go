package main

import (
	"runtime"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher/cmd/internal/cli"
)

func TestVersion(t *testing.T) {
	for _, arg := range []string{"--version", "-v"} {
		code, out, stderr := runWith(t, nil, nil, arg)
		if code != cli.ExitOK || stderr != "" || strings.Count(out, "\n") != 1 {
			t.Errorf("exit %d, stderr %q, stdout %q", code, stderr, out)
		}
		contains(t, out, "medispatcher ", "commit ", "built ", runtime.Version())
	}
}

func TestVersionOfRelease(t *testing.T) {
	version, commit, date = "1.2.3", "abc", "2026-01-02"
	t.Cleanup(func() { version, commit, date = "", "", "" })
	contains(t, readBuild().String(), "medispatcher 1.2.3 (commit abc, built 2026-01-02, go")
}

// The help of every command needs no Redis, and fits a terminal.
func TestHelpOfAll(t *testing.T) {
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		args := append(strings.Fields(cmd.CommandPath())[1:], "--help")
		code, out, stderr := runWith(t, nil, []string{"MEDIS_REDIS_URL=wrong"}, args...)
		if code != cli.ExitOK || stderr != "" {
			t.Errorf("%q: exit %d, stderr %q", args, code, stderr)
		}
		contains(t, out, "Usage:", cmd.CommandPath())
		if cmd.HasParent() && cmd.Parent().Name() == "completion" {
			return // cobra's own text
		}
		for line := range strings.SplitSeq(out, "\n") {
			if len([]rune(line)) > 120 {
				t.Errorf("%q: long line %q", args, line)
			}
		}
		for _, c := range cmd.Commands() {
			walk(c)
		}
	}
	walk((&app{}).root())
	_, out, _ := runWith(t, nil, nil, "--help")
	contains(t, out, "MEDIS_REDIS_URL", "MEDIS_LISTEN", "MEDIS_ADMIN_TOKEN", "publish", "serve", "dev --demo")
	code, out, _ := runWith(t, nil, nil, "help", "sub", "put")
	contains(t, out, "sub put ID")
	if code != cli.ExitOK {
		t.Error(code)
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if code, out, _ := runWith(t, nil, nil, "completion", shell); code != cli.ExitOK || !strings.Contains(out, "medispatcher") {
			t.Errorf("%s: exit %d", shell, code)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"bogus"}, `"bogus" is not a command of medispatcher; see medispatcher --help`},
		{[]string{"statsu"}, `did you mean stats?`},
		{[]string{"no/such.env"}, `"no/such.env" is neither a command nor a file that can be read`},
		{[]string{"bad\x1b[31m"}, `"bad\x1b[31m" is not a command`},
		{[]string{"help", "bogus"}, `"bogus" is not a command`},
		{[]string{"completion", "tcsh"}, `"tcsh" is not a command of medispatcher completion`},
		{[]string{"sub"}, `sub: say which: deliveries, filter, get, history, ls, pause, put, resume, rm, set or test`},
		{[]string{"sub", "lst"}, `did you mean ls?`},
		{[]string{"status", "--wacth"}, `unknown flag: --wacth; did you mean --watch?`},
		{[]string{"status", "-x"}, `unknown shorthand flag: 'x' in -x; see medispatcher status --help`},
		{[]string{"-f"}, `flag needs an argument`},
		{[]string{"serve", "x"}, `serve takes no argument, and got "x"`},
		{[]string{"dev", "x"}, `dev takes no argument`},
		{[]string{"config", "x"}, `config takes no argument`},
		{[]string{"publish"}, `publish: TOPIC is missing; see medispatcher publish --help`},
		{[]string{"publish", "a", "b", "c"}, `"c" is one argument too many; quote what has spaces`},
		{[]string{"publish", "--ndjson", "a", "b"}, `"b" is one argument too many`},
		{[]string{"sub", "get"}, `sub get: ID is missing`},
		{[]string{"sub", "set", "a"}, `sub set: KEY=VALUE is missing`},
		{[]string{"sub", "rm", "a", "b"}, `"b" is one argument too many; quote what has spaces in it; see`},
		{[]string{"sub", "set", "a", "--timeout", "3s"}, `sub set: write timeout=VALUE instead of --timeout; see medispatcher sub set --help`},
		{[]string{"sub", "set", "a", "--max-retries=3"}, `sub set: write max_retries=VALUE`},
		{[]string{"sub", "set", "a", "--max_retries=3"}, `sub set: write max_retries=VALUE`},
		{[]string{"sub", "set", "a", "--jsn"}, `did you mean --json?`},
		{[]string{"sub", "filter", "a", "topic == 'a'"}, `sub filter: write --filter "topic == 'a'"`},
		{[]string{"receive", "--listen", "8080"}, `--listen 8080: give host:port, such as 127.0.0.1:8080`},
		{[]string{"partitions", "forgte"}, `did you mean forget?`},
		{[]string{"sub", "put", "a", "ordered=true"}, `sub put: give fields as flags, --ordered=true, or change those of a subscription that there is with sub set a ordered=true`},
		{[]string{"sub", "put", "a", "max_retries=3", "--topic", "b"}, `--max-retries=3`},
		{[]string{"sub", "put", "a", "secret=whsec_x"}, `--secret=…, or`},
		{[]string{"sub", "put", "a", "drop.action=log"}, `sub set a drop.action=log`},
		{[]string{"sub", "put", "--file", "-", "a", "paused=true"}, `sub set a paused=true`},
	} {
		code, stdout, stderr := runWith(t, strings.NewReader(""), nil, c.args...)
		if code != cli.ExitUsage || stdout != "" {
			t.Errorf("%q: exit %d, stdout %q", c.args, code, stdout)
		}
		checkLines(t, stderr, c.want)
	}
}

// `medispatcher FILE` is `medispatcher -f FILE serve`, as in earlier versions, and no command at all is serve.
func TestEarlierForm(t *testing.T) {
	file := writeFile(t, "conf.env", "MEDIS_PARTITIONS=none\n")
	for _, args := range [][]string{{file}, {"-f", file}, {"-f", file, "serve"}, {"serve", "--env-file", file}} {
		code, _, stderr := runWith(t, nil, nil, args...)
		if code != cli.ExitUsage {
			t.Errorf("%q: exit %d", args, code)
		}
		checkLines(t, stderr, "MEDIS_PARTITIONS=none (in "+file+"): give a whole number")
	}
	t.Chdir(t.TempDir())
	if got := (&app{}).earlierForm((&app{}).root(), []string{"."}); len(got) != 1 {
		t.Errorf("a folder is taken for a file: %q", got)
	}
}

func TestInterrupted(t *testing.T) {
	c := newCLI(t)
	if code, _, stderr := runCancelled(t, c.env, "status"); code != cli.ExitFailed || stderr != "medispatcher: interrupted\n" {
		t.Errorf("exit %d, stderr %q", code, stderr)
	}
}
