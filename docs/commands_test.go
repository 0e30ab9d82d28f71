package docs

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A comment before a block of a page says what becomes of it. Readers do not see it.
//
//	<!-- serve runs on, until "ready" -->   the commands run beside the following ones, under the name serve
//	<!-- prints -->                         these lines, in this order, are in the output of the commands before
//	<!-- serve prints -->                   the same of what runs on under that name
//	<!-- not run: why -->                   the commands are not run
//
// A block in Go is a program, which is built and run.
//
// In what is printed, numbers may differ, and … stands for the rest of a line.
var (
	runsOn  = regexp.MustCompile(`^<!-- (\w+) runs on, until "(.+)" -->$`)
	printed = regexp.MustCompile(`^<!-- (?:(\w+) )?prints -->$`)
	notRun  = regexp.MustCompile(`^<!-- not run: .+ -->$`)
)

// block is one fenced block of a page.
type block struct {
	file string
	line int
	lang string
	say  string // the comment before it
	text string
}

func (b *block) String() string { return fmt.Sprintf("%s:%d", filepath.Base(b.file), b.line) }

func blocks(t *testing.T, file string) (found []*block) {
	t.Helper()
	var open *block
	before := ""
	n := 0
	for line := range strings.Lines(read(t, file)) {
		n++
		line = strings.TrimRight(line, "\n")
		fence, is := strings.CutPrefix(line, "```")
		switch {
		case open != nil && is:
			found = append(found, open)
			open, before = nil, ""
		case open != nil:
			open.text += line + "\n"
		case is:
			open = &block{file: file, line: n, lang: fence, say: before}
		case line != "":
			before = line
		}
	}
	if open != nil {
		t.Errorf("%s: the block has no end", open)
	}
	return found
}

// TestCommands runs the commands of every page, each page in a directory and a network of its own, with a Redis and a
// dispatcher at their usual addresses.
func TestCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts dispatchers")
	}
	bin := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "../cmd/medispatcher", "../cmd/amender").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, file := range append(documents(t), "../README.md", "../CONTRIBUTING.md") {
		var page []*block
		runs := false
		for _, b := range blocks(t, file) {
			switch {
			case b.lang == "sh" && notRun.MatchString(b.say):
			case b.lang == "sh":
				page, runs = append(page, b), true
			case b.lang == "go" && !notRun.MatchString(b.say):
				page, runs = append(page, program(t, bin, b)), true
			case printed.MatchString(b.say):
				page = append(page, b)
			}
		}
		if !runs {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			for _, need := range []string{"redis-server", "redis-cli", "bash", "curl", "jq"} {
				if _, err := exec.LookPath(need); err != nil {
					lack(t, need+" is not installed")
				}
			}
			s := newSession(t, bin)
			for _, b := range page {
				if b.lang == "sh" {
					s.run(b)
				} else {
					s.check(b)
				}
			}
		})
	}
}

// program builds a program in Go. It returns the command that runs it.
func program(t *testing.T, bin string, b *block) *block {
	t.Helper()
	name := fmt.Sprintf("program-%s-%d", strings.TrimSuffix(filepath.Base(b.file), ".md"), b.line)
	source := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(source, []byte(b.text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(bin, name), source).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", b, err, out)
	}
	run := *b
	run.lang, run.text = "sh", name+"\n"
	return &run
}

// lack skips the test, or fails it where everything has to be there.
func lack(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("MEDIS_TEST_REQUIRE_REDIS") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// session is a shell that runs the commands of a page, one block after another.
type session struct {
	t     *testing.T
	dir   string
	in    io.Writer
	lines chan string
	last  string // what the last block printed
	n     int
}

// ended is what the shell prints after a block.
const ended = "-- end of block"

func newSession(t *testing.T, bin string) *session {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	s := &session{t: t, dir: t.TempDir(), lines: make(chan string, 1000)}
	cmd := inNetwork(ctx, "bash", "--norc", "-euo", "pipefail", "-s")
	cmd.Dir = s.dir
	cmd.Env = append(cmd.Env, "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "HOME="+s.dir, "LANG=C.UTF-8")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	s.in = in
	if err := cmd.Start(); err != nil {
		lack(t, "a network of its own cannot be made: "+err.Error())
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill() // it is the first process of its kind: all others end with it
		_ = cmd.Wait()
	})
	go func() {
		defer close(s.lines)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			s.lines <- lines.Text()
		}
	}()
	for _, b := range []*block{
		{file: "redis", say: `<!-- redis runs on, until "Ready to accept" -->`, text: "redis-server --save ''\n"},
		{file: "dispatcher", say: `<!-- dispatcher runs on, until "\"ready\"" -->`, text: "MEDIS_RETENTION=24h medispatcher serve\n"},
	} {
		s.run(b)
	}
	return s
}

// run runs the commands of a block, and waits for their end or for what they say when they are ready.
func (s *session) run(b *block) {
	s.t.Helper()
	m := runsOn.FindStringSubmatch(b.say)
	if m == nil {
		s.shell(b, "{\n"+b.text+"\n} </dev/null 2>&1\n")
		return
	}
	log := m[1] + ".log"
	s.shell(b, "{\n"+b.text+"\n} </dev/null >"+log+" 2>&1 &\n")
	want := strings.ReplaceAll(m[2], `\"`, `"`)
	s.await(b, log, "does not say "+want, func(text string) bool { return strings.Contains(text, want) })
}

// shell has the shell run a script, and collects what it prints.
func (s *session) shell(b *block, script string) {
	s.t.Helper()
	s.n++
	end := fmt.Sprint(ended, s.n)
	if _, err := io.WriteString(s.in, script+"echo\necho "+end+"\n"); err != nil {
		s.t.Fatalf("%s: the shell has ended: %v", b, err)
	}
	s.last = ""
	for line := range s.lines {
		if line == end {
			return
		}
		s.last += line + "\n"
	}
	s.t.Fatalf("%s: failed or took too long:\n%s\nprinted\n%s", b, b.text, s.last)
}

// check compares what was printed with a block.
func (s *session) check(b *block) {
	s.t.Helper()
	m := printed.FindStringSubmatch(b.say)
	if m[1] != "" {
		s.await(b, m[1]+".log", "does not print\n"+b.text, func(text string) bool { return holds(text, b.text) })
	} else if !holds(s.last, b.text) {
		s.t.Errorf("%s: want\n%sgot\n%s", b, b.text, s.last)
	}
}

func (s *session) await(b *block, log, what string, is func(string) bool) {
	s.t.Helper()
	for until := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		text, err := os.ReadFile(filepath.Join(s.dir, log))
		if err == nil && is(string(text)) {
			return
		}
		if time.Now().After(until) {
			s.t.Fatalf("%s: %s %s; it has\n%s", b, log, what, text)
		}
	}
}

// holds reports whether text has the wanted lines in their order.
func holds(text, want string) bool {
	lines := strings.Split(strings.TrimSpace(want), "\n")
	for got := range strings.Lines(text) {
		line, begins := strings.CutSuffix(plain(lines[0]), "…")
		if got = plain(got); got == line || begins && strings.HasPrefix(got, line) {
			if lines = lines[1:]; len(lines) == 0 {
				return true
			}
		}
	}
	return false
}

var (
	numbers = regexp.MustCompile(`[0-9]+`)
	spaces  = regexp.MustCompile(`\s+`)
)

// plain is a line without what differs from run to run.
func plain(line string) string {
	return strings.TrimSpace(spaces.ReplaceAllString(numbers.ReplaceAllString(line, "0"), " "))
}
