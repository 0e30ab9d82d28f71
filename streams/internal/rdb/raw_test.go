package rdb_test

import (
	"context"
	"errors"
	"net"
	"reflect"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher/streams/internal/rdb"
)

// read is what came of two answers, one behind the other.
type read struct {
	values [2]any
	errs   [2]error
}

// readBoth reads an answer twice in one round trip, with a Cursor and with go-redis. It comes in pieces.
func readBoth(answer string, piece int) (got, want read) {
	open := func() *rdb.DB { return rdb.OpenConn(func() net.Conn { return &canned{answer: answer, piece: piece} }) }
	ctx := context.Background()
	pipe := open().Pipe(ctx)
	replies := [2]*rdb.Reply[any]{rdb.Peruse(pipe, (*rdb.Cursor).Value, "X"), rdb.Peruse(pipe, (*rdb.Cursor).Value, "X")}
	_ = pipe.Run()
	theirs := open().Client().Pipeline()
	cmds := [2]*redis.Cmd{theirs.Do(ctx, "X"), theirs.Do(ctx, "X")}
	_, _ = theirs.Exec(ctx)
	for i := range replies {
		got.values[i], got.errs[i] = replies[i].Result()
		if want.values[i], want.errs[i] = cmds[i].Result(); errors.Is(want.errs[i], redis.Nil) {
			want.errs[i] = nil // a Cursor has no error for what is missing
		}
	}
	return got, want
}

// TestAnswers: a Cursor reads the same as go-redis, wherever the answer is cut on its way.
func TestAnswers(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("long ", 7000)
	for _, v := range []any{
		nil, 7, -1, "", "a\r\n$1\r\n", long,
		[]any{}, []any{nil, 1, "a", []any{}, []any{[]any{"b", nil}}},
		[]any{long, "a"}, []any{"a", long}, []any{1, nil, long, []any{long, 2, "@\r\n"}, "$"},
		[]any{[]any{"stream", []any{[]any{"1-0", []any{"m", long}}, []any{"1-1", []any{"a", "b"}}, []any{"1-2", nil}}}},
	} {
		for _, piece := range []int{1, 2, 7, 1000, 1 << 20} {
			if got, want := readBoth(resp(v), piece); got.errs != [2]error{} || !reflect.DeepEqual(got, want) {
				t.Errorf("in pieces of %d:\n got  %.200q\n want %.200q", piece, got, want)
			}
		}
	}
	for _, answer := range []string{"-ERR no\r\n", "-NOSCRIPT No matching script\r\n", "-MOVED 1 h:1\r\n"} {
		got, want := readBoth(answer, 1)
		for i := range got.errs {
			var of redis.Error
			if !errors.As(got.errs[i], &of) || of.Error() != want.errs[i].Error() {
				t.Errorf("%q is the error %v, want %v", answer, got.errs[i], want.errs[i])
			}
		}
	}
}

// FuzzAnswer: whatever Redis answers, a Cursor reads the same as go-redis, or nothing.
func FuzzAnswer(f *testing.F) {
	f.Add(resp([]any{[]any{"s", []any{[]any{"1-0", []any{"a", "b"}}}}}), 3)
	f.Add("*2\r\n$1\r\na\r\n-ERR x\r\n", 9)
	f.Add("*2\r\n+OK\r\n$-1\r\n", 1)
	f.Add("$3\r\na\r\n", 2)
	f.Add("*-1\r\n", 2)
	f.Fuzz(func(t *testing.T, answer string, piece int) {
		got, want := readBoth(answer, max(1, piece))
		for i, err := range got.errs {
			if err != nil {
				break // the connection may be closed
			}
			if !reflect.DeepEqual(got.values[i], want.values[i]) { // go-redis gives a failure of the second to both
				t.Fatalf("%q in pieces of %d:\n got  %q\n want %q, %v", answer, piece, got.values[i], want.values[i], want.errs[i])
			}
		}
	})
}

// FuzzCursor: no answer makes a Cursor panic or go on for ever.
func FuzzCursor(f *testing.F) {
	f.Add("*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n", "etvi")
	f.Add("*1\r\n@\r\n", "lt")
	f.Add("*9999999\r\n", "v")
	f.Fuzz(func(t *testing.T, answer, calls string) {
		c := rdb.NewCursor(answer)
		for _, call := range calls {
			switch call {
			case 'e':
				e := c.Entry()
				size := 0
				for name, value := range e.Fields.All() {
					size += len(name) + len(value)
				}
				if size > len(answer) {
					t.Errorf("%d bytes of fields in %d bytes", size, len(answer))
				}
			case 'f':
				c.Fields()
			case 'l':
				if n := c.Len(); n > len(answer) {
					t.Errorf("%d elements in %d bytes", n, len(answer))
				}
			case 'i':
				c.Int()
			case 't':
				c.Text()
			case 'v':
				c.Value()
			}
		}
	})
}
