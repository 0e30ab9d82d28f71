package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/solate/medispatcher/cmd/internal/cli"
)

// confirm asks a person before messages are removed; without one it refuses.
func (s *state) confirm(ctx context.Context, question string) error {
	return s.ask(ctx, question, "this removes messages for good")
}

// ask asks a person. Without one it refuses, and says why one is asked.
func (s *state) ask(ctx context.Context, question, why string) error {
	if !cli.IsTerminal(s.stdin) {
		return cli.Usagef("%s: add --yes", why)
	}
	_, _ = fmt.Fprint(s.stderr, question+" [y/N] ")
	in := interruptible(ctx, s.stdin)
	defer func() { _ = in.Close() }()
	answer, _ := bufio.NewReader(in).ReadString('\n')
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return errors.New("nothing was changed")
	}
	return nil
}

// interruptible is a reader that fails when ctx ends. A read from a terminal or a pipe cannot be
// interrupted itself.
func interruptible(ctx context.Context, r io.Reader) io.ReadCloser {
	out, in := io.Pipe()
	stop := context.AfterFunc(ctx, func() { _ = out.CloseWithError(context.Cause(ctx)) })
	go func() {
		defer stop()
		_, err := io.Copy(in, r)
		_ = in.CloseWithError(err)
	}()
	return out
}

// progress is a bar on a terminal, and nothing elsewhere.
func (s *state) progress(total int64, what string, more ...progressbar.Option) *progressbar.ProgressBar {
	return progressbar.NewOptions64(total, append([]progressbar.Option{
		progressbar.OptionSetWriter(s.stderr), progressbar.OptionSetVisibility(cli.IsTerminal(s.stderr)),
		progressbar.OptionSetDescription(what), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish(),
		progressbar.OptionThrottle(50 * time.Millisecond),
	}, more...)...)
}

// lazyBar is a progress bar that begins once it knows how much there is to do.
type lazyBar struct {
	s    *state
	what string
	bar  *progressbar.ProgressBar
}

// set shows how far it is. It returns true: go on.
func (b *lazyBar) set(n, of int64) bool {
	if b.bar == nil {
		b.bar = b.s.progress(of, b.what)
	}
	_ = b.bar.Set64(min(n, of))
	return true
}

func (b *lazyBar) finish() {
	if b.bar != nil {
		_ = b.bar.Finish()
	}
}
