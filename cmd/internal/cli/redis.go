package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/config"
)

// PingWithin is how long a command waits to see whether Redis is there at all.
const PingWithin = 3 * time.Second

// RedisError is an error of Redis in words for the operator.
type RedisError struct {
	Seen  string // where that Redis is, and what is wrong
	Do    string // what to do
	cause error
}

func (e *RedisError) Error() string { return e.Seen + "; " + e.Do }
func (e *RedisError) Unwrap() error { return e.cause }

// Reach finds out whether Redis answers, before a command begins its work. url is the URL that store was opened with.
func Reach(ctx context.Context, store interface{ Ping(context.Context) error }, url string) error {
	ctx, cancel := context.WithTimeout(ctx, PingWithin)
	defer cancel()
	return Explain(store.Ping(ctx), url)
}

// Explain makes a RedisError of an error of the Redis at a URL. It returns other errors, and those of an interrupted
// command, unchanged.
func Explain(err error, url string) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if list := parts(err); len(list) > 1 {
		for i := range list {
			list[i] = Explain(list[i], url)
		}
		return errors.Join(list...)
	}
	at := config.RedisAt(url)
	var explained *RedisError
	var network net.Error
	var fields medispatcher.Problems
	var step *medispatcher.StepError
	switch {
	case errors.As(err, &explained), errors.As(err, &fields):
		return err
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return &RedisError{"redis at " + at + " does not answer in time", "check MEDIS_REDIS_URL, and whether Redis is overloaded", err}
	case errors.As(err, &network):
		return &RedisError{fmt.Sprintf("redis at %s does not answer: %v", at, network), "check MEDIS_REDIS_URL, and whether Redis runs", err}
	case !errors.As(err, &step):
		return err
	}
	text := err.Error()
	if err == error(step) { //nolint:errorlint // only an error that no caller wrapped in words of its own
		text = step.Text()
	}
	return &RedisError{fmt.Sprintf("redis at %s: %s", at, strings.TrimSuffix(text, ".")), remedy(text), err}
}

// remedy is what to do about an answer of Redis. The answer is a text: its first word is a code, but the answer of a
// script has more words before that.
func remedy(answer string) string {
	for _, r := range []struct {
		codes []string
		do    string
	}{
		{[]string{"NOAUTH", "WRONGPASS", "NOPERM", "invalid password", "without any password"}, "check the user and the password in MEDIS_REDIS_URL"},
		{[]string{"MOVED", "CROSSSLOT", "ASK "}, "it is a Redis Cluster: add ?cluster=true to MEDIS_REDIS_URL"},
		{[]string{"cluster support disabled"}, "it is no Redis Cluster: take cluster=true and all hosts but one off MEDIS_REDIS_URL"},
		{[]string{"OOM "}, "Redis is out of memory: raise maxmemory, or deliver or purge what waits; nothing was written"},
		{[]string{"READONLY"}, "it is a replica: MEDIS_REDIS_URL must name the master"},
		{[]string{"LOADING"}, "Redis is reading its data: try again in a moment"},
		{[]string{"WRONGTYPE"}, "something else uses a key of ours: check MEDIS_KEY_PREFIX"},
		{[]string{"DB index"}, "check the number of the database at the end of MEDIS_REDIS_URL"},
		{[]string{"EOF"}, "the connection was closed: check MEDIS_REDIS_URL, rediss:// is with TLS, redis:// without"},
	} {
		for _, code := range r.codes {
			if strings.Contains(answer, code) {
				return r.do
			}
		}
	}
	return "check MEDIS_REDIS_URL, and the log of Redis"
}
