package daemon

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/config"
	"github.com/solate/medispatcher/cmd/internal/joined"
	"github.com/solate/medispatcher/cmd/medispatcher/daemon/gather"
	"github.com/solate/medispatcher/cmd/medispatcher/outlet"
	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/internal/filter"
	"github.com/solate/medispatcher/push"
	"github.com/solate/medispatcher/streams"
)

const (
	// lastStepsTimeout bounds what comes after the deliveries: a few commands.
	lastStepsTimeout = 3 * time.Second
	// stepWithin bounds one step in Redis of a duty that can repeat it.
	stepWithin = 10 * time.Second
)

// Options say what a dispatcher runs with. OwnLog alone may be nil.
type Options struct {
	Config  *config.Config
	Version string
	Log     *slog.Logger
	// DataLog opens the DATA log. It is called once the address is taken. end closes the log within a bound.
	DataLog func() (o *outlet.Outlet, end func(), err error)
	OwnLog  *outlet.Outlet           // where Log writes
	Getenv  func(name string) string // for the variables of OpenTelemetry
}

// loop works until ctx ends.
type loop func(ctx context.Context) error

// Daemon is one running dispatcher. It opens what the duties need, makes them, and runs them.
type Daemon struct {
	cfg       *config.Config
	log       *slog.Logger
	info      medispatcher.Dispatcher
	listener  net.Listener
	tls       *tls.Config // of the listener; nil: none
	dataLog   *dataLog
	store     *joined.Store
	registry  *streams.Registry
	scheduler *push.Scheduler
	heartbeat *heartbeat
	readiness *readiness
	handler   http.Handler

	staying []loop // run until the deliveries have ended
	working []loop // end at the first signal
	taking  []loop // take messages, and end at the first signal, too
	closers closers
}

// New opens what a dispatcher needs, and makes its duties.
func New(ctx context.Context, o Options) (*Daemon, error) {
	host, _ := os.Hostname()
	lines := gather.New(o.Log.Handler(), gathered)
	d := &Daemon{cfg: o.Config, log: slog.New(lines), info: medispatcher.Dispatcher{
		ID: dispatcherID(host), Host: host, PID: os.Getpid(), Version: o.Version, Env: o.Config.Env,
		Started: time.Now(), DeadAfter: o.Config.DeadAfter,
	}}
	d.closers.add(lines.Close)
	err := d.open(ctx, o)
	if err == nil {
		err = d.wire(ctx, o)
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// dispatcherID is unique for each start. A new process must not take the entries of an earlier one for its own:
// the requests of that one may still be under way.
func dispatcherID(host string) string {
	var random [4]byte
	_, _ = rand.Read(random[:])
	return fmt.Sprintf("%s-%d-%s", host, os.Getpid(), hex.EncodeToString(random[:]))
}

// open takes the address first: two dispatchers with one configuration must not both start.
func (d *Daemon) open(ctx context.Context, o Options) error {
	var lc net.ListenConfig
	var err error
	if d.tls, err = d.cfg.ListenTLS(d.log); err != nil {
		return err
	}
	if d.listener, err = lc.Listen(ctx, "tcp", d.cfg.Listen); err != nil {
		return fmt.Errorf("cannot listen on %s: %w; set MEDIS_LISTEN to a free address", d.cfg.Listen, err)
	}
	d.closers.add(func() error {
		if err := d.listener.Close(); !errors.Is(err, net.ErrClosed) { // the server was shut down
			return err
		}
		return nil
	})
	out, end, err := o.DataLog()
	if err != nil {
		return err
	}
	d.closers.add(func() error { end(); return nil })
	d.dataLog = &dataLog{out, d.log}
	storeConfig := d.cfg.Streams(d.info.ID, d.log)
	storeConfig.Readers, storeConfig.Spread = d.cfg.FanoutWorkers, d.cfg.Partitions
	storeConfig.Partitions = d.partitions(ctx, storeConfig)
	d.info.Partitions, d.info.Spread = storeConfig.Partitions, storeConfig.Spread
	if d.store, err = joined.Open(storeConfig); err != nil {
		return err
	}
	d.closers.add(d.store.Close)
	d.registry = streams.NewRegistry(d.store.Store, filter.In(d.cfg.Rules()), func(id, problem string) {
		d.log.Warn("subscription needs attention", "subscription", id, "problem", problem)
	})
	return nil
}

// partitions is how many partitions this dispatcher works on: all that there are, whatever MEDIS_PARTITIONS is, since what is in
// them has to be delivered. While Redis is away it goes by the variable; see partitionWatcher.
func (d *Daemon) partitions(ctx context.Context, cfg streams.Config) int {
	ctx, cancel := context.WithTimeout(ctx, lastStepsTimeout)
	defer cancel()
	store, err := streams.Open(cfg)
	if err != nil {
		return cfg.Partitions // opening it again tells
	}
	defer func() { _ = store.Close() }()
	n, err := store.LearnPartitions(ctx)
	if err != nil {
		return cfg.Partitions
	}
	if n > cfg.Partitions {
		d.log.Warn("MEDIS_PARTITIONS is lower than it was: new messages go to the lower partitions, and the others are still worked on; once they are empty, run medispatcher partitions forget",
			"MEDIS_PARTITIONS", cfg.Partitions, "partitions", n)
	}
	return n
}

// tooFew is an error if there are more partitions than this dispatcher works on, as soon as it hears of Redis: Redis was away when
// it started.
func (d *Daemon) tooFew() error {
	if n := d.store.Partitions(); n > d.info.Partitions {
		return fmt.Errorf("there are %d partitions, and this dispatcher works on %d: Redis could not be reached when it started; start it again", n, d.info.Partitions)
	}
	return nil
}

// Close closes what New opened. Run does it, too.
func (d *Daemon) Close() error { return d.closers.close() }

// Addr is where the API and the panel listen.
func (d *Daemon) Addr() net.Addr { return d.listener.Addr() }

// Beaten is closed after the first heartbeat, when messages begin to be taken.
func (d *Daemon) Beaten() <-chan struct{} { return d.heartbeat.first }

// Ping finds out whether Redis answers.
func (d *Daemon) Ping(ctx context.Context) error { return d.store.Ping(ctx) }

// Reopen opens the DATA log again, if it was renamed.
func (d *Daemon) Reopen() { d.dataLog.out.Reopen() }

// Run works until ctx ends, then stops in order: reading, deliveries, settling, and
// last what others see of this dispatcher. Nothing it owned stays buried.
func (d *Daemon) Run(ctx context.Context) error {
	staying, stopStaying := context.WithCancel(context.WithoutCancel(ctx))
	defer stopStaying()
	var stay errgroup.Group
	for _, run := range d.staying {
		stay.Go(func() error { return run(staying) })
	}
	server := panel.Server(d.cfg.Listen, d.handler)
	server.ErrorLog = slog.NewLogLogger(d.log.Handler(), slog.LevelDebug) // whoever connects could fill the log
	server.TLSConfig = d.tls
	serve := server.Serve
	if d.tls != nil {
		serve = func(l net.Listener) error { return server.ServeTLS(l, "", "") }
	}
	stay.Go(func() error {
		if err := serve(d.listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	d.log.Info("medispatcher runs", "version", d.info.Version, "dispatcher", d.info.ID,
		"listen", d.Addr().String(), "tls", d.tls != nil, "redis", config.RedisAt(d.cfg.RedisURL), "partitions", d.info.Partitions)

	g, working := errgroup.WithContext(ctx)
	for _, run := range d.working {
		g.Go(func() error { return run(working) })
	}
	for _, run := range d.taking {
		g.Go(func() error {
			select { // others give back the messages of a dispatcher without a heartbeat
			case <-d.Beaten():
			case <-working.Done():
			}
			return run(working)
		})
	}
	g.Go(func() error {
		select {
		case <-d.Beaten():
			return d.tooFew()
		case <-working.Done():
			return nil
		}
	})
	<-working.Done()
	d.readiness.stop()
	d.heartbeat.leave()
	d.log.Info("stopping", "in_flight", d.scheduler.Inflight(), "deadline", d.cfg.ShutdownTimeout.String())
	err := g.Wait()

	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastStepsTimeout)
	defer cancel()
	stopStaying()
	err = errors.Join(err, d.store.LeaveIncoming(last), d.store.Leave(last), server.Shutdown(last))
	err = errors.Join(err, stay.Wait(), d.Close())
	if err == nil {
		d.log.Info("stopped")
	}
	return err
}

// closers close what was opened, the last first.
type closers []func() error

func (c *closers) add(do func() error) { *c = append(*c, do) }

func (c *closers) close() (err error) {
	for _, do := range slices.Backward(*c) {
		err = errors.Join(err, do())
	}
	*c = nil
	return err
}

// outlive returns a context that ends later than ctx by so much.
func outlive(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { medispatcher.Sleep(longer, by); cancel() })
	return longer, func() { stop(); cancel() }
}
