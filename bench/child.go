package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/loadtest"
)

// load is what is sent in a measurement. Child processes get it as a JSON argument.
type load struct {
	Plan    loadtest.Plan // Messages is one more than the number of the last
	Run     medispatcher.BenchRun
	Began   time.Time
	Redis   string        // host:port
	Stream  string        // of the peers
	URLs    []string      // one for each subscription
	Sample  string        // a body; the numbers n and at change in each message
	Timeout time.Duration // of a request; 0: none
	Cert    string        // file of the receiver's certificate; empty: no TLS
	Key     string
}

// children are the processes that are this program itself. They are separate so that the CPU time of
// the one does not count as that of the other.
var children = map[string]func(load) error{"receive": receive, "limit": bareLoop}

func runChild(name, about string) error {
	var l load
	if err := json.Unmarshal([]byte(about), &l); err != nil {
		return err
	}
	return children[name](l)
}

// child is the command that runs a child.
func (l load) child(ctx context.Context, program string, args ...string) *exec.Cmd {
	about, err := json.Marshal(l)
	if err != nil {
		panic(err) // strings and numbers
	}
	cmd := exec.CommandContext(ctx, program, append(args, string(about))...)
	cmd.Env = append(os.Environ(), l.env()...)
	return cmd
}

// env makes a Go program trust the receiver.
func (l load) env() []string {
	if l.Cert == "" {
		return nil
	}
	return []string{"SSL_CERT_FILE=" + l.Cert, "SSL_CERT_DIR=/nonexistent"}
}

// span is messages to publish: from number From to below To.
type span struct {
	From, To int
	Rate     int // messages a second; 0: at once
}

func (s span) String() string { return fmt.Sprintf("%d %d %d\n", s.From, s.To, s.Rate) }

func parseSpan(line string) (s span, err error) {
	_, err = fmt.Sscan(line, &s.From, &s.To, &s.Rate)
	return s, err
}
