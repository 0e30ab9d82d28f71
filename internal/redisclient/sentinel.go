package redisclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// sentinels is a hook that says what sentinels said when they name no master. go-redis passes on their answer as if it were that of the
// Redis: redis.Nil for a master that they do not know, which means to callers that the Redis was asked and has nothing.
type sentinels struct{ master string }

var _ redis.Hook = sentinels{}

func (s sentinels) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		// No answer that comes before a connection is of the Redis.
		if answer := redis.Error(nil); errors.As(err, &answer) {
			return nil, errors.New("the sentinels name no master: " + strings.Join(s.said(err, nil), "; "))
		}
		return conn, err
	}
}

// said adds to texts what err says that they do not say yet.
func (s sentinels) said(err error, texts []string) []string {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range many.Unwrap() {
			texts = s.said(err, texts)
		}
		return texts
	}
	if inner := errors.Unwrap(err); inner != nil {
		if _, network := err.(net.Error); !network { //nolint:errorlint // the way down to it is taken here
			return s.said(inner, texts)
		}
	}
	text := err.Error()
	if errors.Is(err, redis.Nil) {
		text = fmt.Sprintf("they know none named %q", s.master)
	}
	if slices.Contains(texts, text) {
		return texts
	}
	return append(texts, text)
}

func (sentinels) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (sentinels) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
