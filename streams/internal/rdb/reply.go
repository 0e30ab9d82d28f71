package rdb

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Reply is the answer to a command. In a Pipe, it is there after Run.
type Reply[T any] struct {
	cmd    redis.Cmder
	decode func() (T, error)

	read bool
	val  T
	err  error
}

// ask sends a command whose answer go-redis makes into values.
func ask[T any](c Conn, args []any, decode func(any) (T, error)) *Reply[T] {
	cmd := redis.NewCmd(context.Background(), args...)
	run(c, cmd)
	return &Reply[T]{cmd: cmd, decode: func() (T, error) { return decode(cmd.Val()) }}
}

// peruse sends a command whose answer a Cursor reads.
func peruse[T any](c Conn, args []any, decode func(*Cursor) T) *Reply[T] {
	b := newInbox()
	cmd := redis.NewRawWriteToCmd(context.Background(), b, args...)
	run(c, cmd)
	return &Reply[T]{cmd: cmd, decode: func() (T, error) { return emptied(b, decode) }}
}

// Result is the answer, or the error of the command.
func (r *Reply[T]) Result() (T, error) {
	if !r.read {
		r.read = true
		if r.err = r.cmd.Err(); r.err == nil || errors.Is(r.err, errTaken) {
			r.val, r.err = r.decode()
		}
	}
	return r.val, r.err
}

// Val is the answer; the zero value if there was an error.
func (r *Reply[T]) Val() T {
	v, _ := r.Result()
	return v
}

// Err is the error of the command.
func (r *Reply[T]) Err() error {
	_, err := r.Result()
	return err
}

// Int sends a command that answers a number.
func Int(c Conn, args ...any) *Reply[int64] {
	return ask(c, args, as[int64])
}

// Bool sends a command that answers 1 or 0.
func Bool(c Conn, args ...any) *Reply[bool] {
	return ask(c, args, func(answer any) (bool, error) {
		n, err := as[int64](answer)
		return n == 1, err
	})
}

// Text sends a command that answers a string. If there is none, the error is IsNil.
func Text(c Conn, args ...any) *Reply[string] {
	return ask(c, args, as[string])
}

// Float sends a command that answers a score.
func Float(c Conn, args ...any) *Reply[float64] {
	return ask(c, args, func(answer any) (float64, error) {
		text, err := as[string](answer)
		if err != nil {
			return 0, err
		}
		return strconv.ParseFloat(text, 64)
	})
}

// Floats sends a command that answers scores. The score of a missing member is 0.
func Floats(c Conn, args ...any) *Reply[[]float64] {
	return ask(c, args, func(answer any) ([]float64, error) {
		list, err := texts(answer)
		out := make([]float64, len(list))
		for i, v := range list {
			out[i], _ = strconv.ParseFloat(v, 64)
		}
		return out, err
	})
}

// List sends a command that answers a list. A missing element is nil.
func List(c Conn, args ...any) *Reply[[]any] {
	return ask(c, args, as[[]any])
}

// Texts sends a command that answers a list of strings.
func Texts(c Conn, args ...any) *Reply[[]string] {
	return ask(c, args, texts)
}

// Map sends a command that answers names and values in turn.
func Map(c Conn, args ...any) *Reply[map[string]string] {
	return ask(c, args, func(answer any) (map[string]string, error) {
		list, err := texts(answer)
		m := make(map[string]string, len(list)/2)
		for i := 0; i+1 < len(list); i += 2 {
			m[list[i]] = list[i+1]
		}
		return m, err
	})
}

// Time sends TIME.
func Time(c Conn) *Reply[time.Time] {
	return ask(c, []any{"TIME"}, func(answer any) (time.Time, error) {
		list, err := texts(answer)
		if err != nil || len(list) != 2 {
			return time.Time{}, unreadable(answer)
		}
		sec, errSec := strconv.ParseInt(list[0], 10, 64)
		usec, errUsec := strconv.ParseInt(list[1], 10, 64)
		if errSec != nil || errUsec != nil {
			return time.Time{}, unreadable(answer)
		}
		return time.Unix(sec, usec*1000), nil
	})
}

// Score is a member of a sorted set.
type Score struct {
	Member string
	Score  float64
}

// Scores sends a command that answers members and scores in turn.
func Scores(c Conn, args ...any) *Reply[[]Score] {
	return ask(c, args, func(answer any) ([]Score, error) {
		list, err := texts(answer)
		scores := make([]Score, 0, len(list)/2)
		for i := 0; i+1 < len(list); i += 2 {
			score, err := strconv.ParseFloat(list[i+1], 64)
			if err != nil {
				return nil, err
			}
			scores = append(scores, Score{list[i], score})
		}
		return scores, err
	})
}

// Page is what SCAN or HSCAN answers.
type Page struct {
	Next  string // cursor of the next page; "0": this was the last
	Items []string
}

// Scan sends SCAN or HSCAN.
func Scan(c Conn, args ...any) *Reply[Page] {
	return ask(c, args, func(answer any) (Page, error) {
		list, _ := answer.([]any)
		if len(list) != 2 {
			return Page{}, unreadable(answer)
		}
		next, _ := list[0].(string)
		items, err := texts(list[1])
		return Page{next, items}, err
	})
}

// EachField calls do with every field of a hash whose name matches. It may call it twice for a field.
func EachField(c Conn, key, match string, page int, do func(name, value string)) error {
	for cursor := "0"; ; {
		got, err := Scan(c, "HSCAN", key, cursor, "MATCH", match, "COUNT", page).Result()
		if err != nil {
			return err
		}
		for i := 0; i+1 < len(got.Items); i += 2 {
			do(got.Items[i], got.Items[i+1])
		}
		if cursor = got.Next; cursor == "0" {
			return nil
		}
	}
}

func as[T any](answer any) (v T, err error) {
	v, ok := answer.(T)
	if !ok {
		err = unreadable(answer)
	}
	return v, err
}

func texts(answer any) ([]string, error) {
	list, ok := answer.([]any)
	if !ok {
		return nil, unreadable(answer)
	}
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = text(v)
	}
	return out, nil
}

func text(v any) string { s, _ := v.(string); return s }

func unreadable(answer any) error { return fmt.Errorf("unreadable answer %.200v", answer) }

// ToInt reads a number from an answer, which may be a string; 0 if it is not a number.
func ToInt(v any) int {
	switch v := v.(type) {
	case int64:
		return int(v)
	case string:
		n, _ := strconv.Atoi(v)
		return n
	}
	return 0
}
