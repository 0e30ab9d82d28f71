package daemon

import (
	"log/slog"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/config"
	"github.com/solate/medispatcher/push"
	"github.com/solate/medispatcher/push/http1"
	"github.com/solate/medispatcher/streams"
)

var (
	_ push.Reader  = (*streams.Store)(nil)
	_ push.Settler = (*streams.Store)(nil)
)

// maxIdleConns bounds the keep-alive connections to all workers together.
const maxIdleConns = 4096

func newClient(cfg *config.Config, log *slog.Logger) (*http1.Client, error) {
	secure, roots, err := cfg.PushTLS(log)
	if err != nil {
		return nil, err
	}
	return http1.New(http1.Options{
		TLSConfig: secure, Roots: roots, Proxy: cfg.Proxy(),
		MaxIdlePerHost: cfg.MaxConcurrency + cfg.MaxRetryConcurrency,
		MaxIdle:        min(maxIdleConns, OpenFiles()/2),
		DialTimeout:    cfg.MaxTimeout,
		Guard:          cfg.Guard(),
		Log:            log,
	}), nil
}

func pushConfig(cfg *config.Config, info medispatcher.Dispatcher, client *http1.Client, on *pushEvents, spans *tracer, log *slog.Logger) push.Config {
	c := push.Config{
		MaxInflight: int64(limitMemory(cfg, log)), MaxBody: int64(cfg.MaxBody),
		Partitions: info.Partitions, Env: cfg.Env, UserAgent: userAgent(info.Version),
		Client: client, Log: log, ShutdownTimeout: cfg.ShutdownTimeout, Events: on.hooks(),
	}
	if spans != nil {
		c.Tracer = spans
	}
	return c
}
