package streams

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
)

// TestSmaller: reads become smaller when answers are cut off again and again, not when Redis restarts, and larger again with time.
func TestSmaller(t *testing.T) {
	t.Parallel()
	cut := fmt.Errorf("read s: %w", io.EOF)
	refused := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	for name, c := range map[string]struct {
		do   func(s *smaller)
		want int
	}{
		"nothing":              {want: 400},
		"cut once":             {do: func(s *smaller) { s.note(400, cut) }, want: 400},
		"all at the same time": {do: func(s *smaller) { s.note(400, cut); s.note(300, cut); s.note(1, cut) }, want: 400},
		"cut again":            {do: func(s *smaller) { s.note(400, cut); time.Sleep(time.Second); s.note(400, cut) }, want: 100},
		"and again":            {do: func(s *smaller) { s.note(400, cut); time.Sleep(time.Second); s.note(400, cut); s.note(100, cut) }, want: 25},
		"down to one":          {do: func(s *smaller) { s.note(400, cut); time.Sleep(time.Second); s.note(3, cut) }, want: 1},
		"much later":           {do: func(s *smaller) { s.note(400, cut); time.Sleep(time.Hour); s.note(400, cut) }, want: 400},
		"Redis was away":       {do: func(s *smaller) { s.note(400, cut); time.Sleep(time.Second); s.note(400, refused); s.note(400, cut) }, want: 400},
		"small, and then away": {do: func(s *smaller) { s.note(400, cut); time.Sleep(time.Second); s.note(400, cut); s.note(100, refused) }, want: 400},
		"Redis says no": {do: func(s *smaller) {
			s.note(400, medispatcher.ErrGroupCreated)
			time.Sleep(time.Second)
			s.note(400, medispatcher.ErrGone)
		}, want: 400},
		"larger with time": {do: func(s *smaller) { s.note(400, cut); time.Sleep(time.Second); s.note(400, cut); time.Sleep(smallFor) }, want: 200},
		"as large as they like": {do: func(s *smaller) {
			s.note(400, cut)
			time.Sleep(time.Second)
			s.note(400, cut)
			time.Sleep(100 * smallFor)
		}, want: 400},
		"too large again": {do: func(s *smaller) {
			s.note(400, cut)
			time.Sleep(time.Second)
			s.note(400, cut)
			time.Sleep(smallFor)
			s.note(200, cut)
		}, want: 50},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &smaller{}
				if c.do != nil {
					c.do(s)
				}
				if got := s.of(400); got != c.want {
					t.Errorf("%d of 400, want %d", got, c.want)
				}
			})
		})
	}
}
