package push

import (
	"log/slog"
	"time"

	"github.com/solate/medispatcher/push/http1"
)

// Config says how a Scheduler works. Client, Log and the queue are required.
type Config struct {
	Partitions      int
	Env             string // reception environment tag
	UserAgent       string
	Client          *http1.Client
	Log             *slog.Logger
	ShutdownTimeout time.Duration // for what is in flight when Run is told to stop
	MaxInflight     int64         // bytes of message bodies held at once; 512 MiB when zero
	MaxBody         int64         // bytes that the body of a message may have; 1 MiB when zero
	SweepEvery      time.Duration // between the searches for missed doorbells; 5 s when zero; more than eight dispatchers take turns
	Others          func() int64  // other dispatchers that live; nil: none
	Events          Events
	Tracer          Tracer // nil: attempts are not traced
}
