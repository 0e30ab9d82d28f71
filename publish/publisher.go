package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/internal/redisclient"
)

// Options are how to publish. Prefix, Partitions and MaxBody must be those of the dispatchers.
type Options struct {
	URL        string                // the Redis of the dispatchers: their MEDIS_REDIS_URL
	Redis      redis.UniversalClient // the same, as a client that exists already; see the package. One of the two is required
	Prefix     string                // MEDIS_KEY_PREFIX; "": medis
	Partitions int                   // MEDIS_PARTITIONS; 0: 1
	MaxBody    int64                 // MEDIS_MAX_BODY in bytes; 0: 1 MiB

	// NoIDs leaves a message without an id as it is. Otherwise it gets a random one, so that a message
	// whose answer was lost can be written again and is delivered once. Redis remembers an id for
	// MEDIS_DEDUPE_WINDOW, at some 100 bytes; NoIDs saves them at thousands of messages a second.
	NoIDs bool

	// RecoverList is the name of the list that takes what Redis does not, such as the name of this
	// program: its key is <Prefix>:recover:<RecoverList>. The dispatchers publish it from there. "":
	// there is none, and Publish returns an error instead.
	RecoverList string
	// RecoverRedis has the list: MEDIS_RECOVER_REDIS_URL of the dispatchers. One of its own takes
	// messages while Redis is away or full. nil: Redis, which helps only where the stream alone is the
	// trouble: its node of a cluster is down, or its key is of another type.
	RecoverRedis redis.UniversalClient
	RecoverURL   string // the same, as a URL

	// Timeout is for each step in Redis: writing a batch, and parking it. 0: 3 s.
	Timeout time.Duration
}

const (
	defaultPrefix  = "medis"
	defaultMaxBody = 1 << 20
	defaultTimeout = 3 * time.Second

	// A batch is what one round trip writes.
	batchMessages = 256
	batchBytes    = 1 << 20
)

// Publisher writes messages. It is safe for concurrent use: a program makes one, and uses it for as long as it runs.
type Publisher struct {
	o   Options
	own []redis.UniversalClient // clients that Close closes
}

// Dial makes a Publisher for the Redis at a URL, the one that the dispatchers have as MEDIS_REDIS_URL: redis://, rediss:// or unix://,
// a single server, Sentinel or a cluster. It connects when something is published; see Check. New does the same with more options.
func Dial(url string) (*Publisher, error) { return New(Options{URL: url}) }

// New makes a Publisher. It does not talk to Redis; see Check.
func New(o Options) (*Publisher, error) {
	p := &Publisher{}
	var errs []error
	if o.Redis == nil && o.URL == "" {
		errs = append(errs, errors.New("publish: Options.URL is missing; give it, or Redis"))
	}
	errs = append(errs, p.dial("URL", o.URL, &o.Redis, o.Timeout), p.dial("RecoverURL", o.RecoverURL, &o.RecoverRedis, o.Timeout))
	if o.Partitions < 0 || o.MaxBody < 0 || o.Timeout < 0 {
		errs = append(errs, errors.New("publish: Partitions, MaxBody and Timeout of Options must not be negative"))
	}
	if (o.RecoverRedis != nil || o.RecoverURL != "") && o.RecoverList == "" {
		errs = append(errs, errors.New("publish: Options.RecoverRedis and RecoverURL need a RecoverList, such as the name of this program"))
	}
	o.Prefix = cmp.Or(o.Prefix, defaultPrefix)
	if err := redisclient.CheckPrefix(o.Prefix); err != nil {
		errs = append(errs, fmt.Errorf("publish: Options.Prefix: %w", err))
	}
	if o.Partitions == 0 {
		o.Partitions = 1
	}
	if o.MaxBody == 0 {
		o.MaxBody = defaultMaxBody
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.RecoverRedis == nil {
		o.RecoverRedis = o.Redis
	}
	if err := errors.Join(errs...); err != nil {
		_ = p.Close() // they have no connections yet
		return nil, err
	}
	p.o = o
	return p, nil
}

// dial makes the client of a URL that was given under a name.
func (p *Publisher) dial(name, url string, client *redis.UniversalClient, timeout time.Duration) error {
	if url == "" {
		return nil
	}
	if *client != nil {
		return fmt.Errorf("publish: Options.%s stands beside a client for the same; give one of them", name)
	}
	opt, err := redisclient.Options(url)
	if err != nil {
		return fmt.Errorf("publish: Options.%s %w", name, err)
	}
	opt.DialTimeout = cmp.Or(timeout, defaultTimeout)
	made := redisclient.New(opt)
	*client, p.own = made, append(p.own, made)
	return nil
}

// Close closes the connections of a Publisher that was made of URLs. Clients that it was given stay open.
// Closing it again does nothing.
func (p *Publisher) Close() error {
	var errs []error
	for _, c := range p.own {
		if err := c.Close(); !errors.Is(err, redis.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Result is what became of a message.
type Result struct {
	ID     string // of the message: the given one, a random one, or with NoIDs the one that Redis made ("" if it is parked)
	Parked bool   // it is in the recover list; the dispatchers publish it when they can
	Err    error  // it was not published: it is wrong, or an *Error
}

// Publish publishes one message. The error is that of its Result.
func (p *Publisher) Publish(ctx context.Context, m Message) (Result, error) {
	results, _ := p.PublishAll(ctx, []Message{m})
	return results[0], results[0].Err
}

// PublishAll publishes messages, 256 of them or a megabyte in one round trip. It returns a Result for
// each. One that fails holds up no other. The error is nil if all are published or parked; otherwise
// it says how many are not, and wraps the error of the first.
func (p *Publisher) PublishAll(ctx context.Context, messages []Message) ([]Result, error) {
	results := make([]Result, len(messages))
	run := batch{p: p, ctx: ctx, results: results, away: map[int]error{}}
	for i := range messages {
		m, err := p.checked(&messages[i])
		if err != nil {
			results[i].Err = fmt.Errorf("publish: the message is wrong: %w", err)
			continue
		}
		results[i].ID = m.ID
		run.add(i, m)
	}
	run.write()
	return results, sumUp(results)
}

func sumUp(results []Result) error {
	failed, first := 0, -1
	for i := range results {
		if results[i].Err != nil {
			if failed++; first < 0 {
				first = i
			}
		}
	}
	if failed == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d messages failed; the first, at index %d: %w", failed, len(results), first, results[first].Err)
}

// item is a message of a batch.
type item struct {
	at        int // its place in the results
	partition int
	message   medispatcher.Message
	err       *Error // why Redis did not take it
}

// batch gathers messages and writes them.
type batch struct {
	p       *Publisher
	ctx     context.Context //nolint:containedctx // a batch lives within one call
	results []Result
	items   []item
	bytes   int
	away    map[int]error // partitions whose Redis did not answer before: what else is for them does not wait again
}

func (b *batch) add(at int, m medispatcher.Message) {
	b.items = append(b.items, item{at: at, partition: medispatcher.Partition(m.Key, m.ID, b.p.o.Partitions), message: m})
	b.bytes += len(m.Body)
	if len(b.items) == batchMessages || b.bytes >= batchBytes {
		b.write()
	}
}

// write writes what was gathered, and parks what Redis did not take.
func (b *batch) write() {
	var able, left []item
	for _, it := range b.items {
		if err := cmp.Or(b.ctx.Err(), b.away[it.partition]); err != nil {
			it.err = &Error{ID: it.message.ID, Err: err}
			left = append(left, it)
		} else {
			able = append(able, it)
		}
	}
	b.items, b.bytes = nil, 0
	left = append(left, b.append(able)...)
	if len(left) > 0 {
		b.park(left)
	}
}

// append writes messages to their streams. It returns those that Redis did not take.
func (b *batch) append(items []item) (left []item) {
	if len(items) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(b.ctx, b.p.o.Timeout)
	defer cancel()
	pipe := b.p.o.Redis.Pipeline()
	ids := make([]*redis.StringCmd, len(items))
	for i := range items {
		ids[i] = redis.NewStringCmd(ctx, append([]any{"XADD", b.p.incoming(items[i].partition), "*"}, medispatcher.EncodeEntry(&items[i].message)...)...)
		_ = pipe.Process(ctx, ids[i])
	}
	_, _ = pipe.Exec(ctx) // each command has its error
	for i, it := range items {
		id, err := ids[i].Result()
		switch {
		case err != nil:
			it.err = &Error{ID: it.message.ID, Unknown: !isReply(err), Err: err}
			left = append(left, it)
			if it.err.Unknown {
				b.away[it.partition] = err
			}
		case it.message.ID == "":
			b.results[it.at].ID = strconv.Itoa(it.partition) + "-" + id
		}
	}
	return left
}

func (p *Publisher) incoming(partition int) string {
	return p.o.Prefix + ":{" + strconv.Itoa(partition) + "}:incoming"
}
