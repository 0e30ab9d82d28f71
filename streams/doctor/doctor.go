package doctor

import (
	"context"
	"fmt"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Level says how bad a finding is.
type Level string

// The levels of a finding.
const (
	LevelOK      Level = "ok"
	LevelUnknown Level = "unknown" // Redis did not tell
	LevelWarning Level = "warning" // may hurt later, or is repaired by itself
	LevelProblem Level = "problem" // messages are lost, stuck or refused, or will be
)

// Areas of findings.
const (
	AreaRedis         = "Redis"
	AreaRecover       = "Recover Redis" // where that is another one
	AreaDispatchers   = "Dispatchers"
	AreaSubscriptions = "Subscriptions"
	AreaMessages      = "Messages"
)

// Finding is the outcome of one check.
type Finding struct {
	Area    string `json:"area"`
	Check   string `json:"check"` // the same for every outcome of a check
	Level   Level  `json:"level"`
	Seen    string `json:"seen"`
	Do      string `json:"do,omitempty"`      // what to do about it
	Partial bool   `json:"partial,omitempty"` // only a part was looked at; Seen says how much
}

// Checkup says what to examine.
type Checkup struct {
	Rules medispatcher.Rules // that stored subscriptions are held to
	// Most is the number of entries that are compared one by one in all; 0: mostEntries.
	Most int
}

// Examination is what was found.
type Examination struct {
	Findings []Finding
	MaxBulk  int64                     // bytes, the largest value that every master takes; 0: not known
	Slowest  medispatcher.Subscription // one with the longest timeout; no ID: there is none
	AtOnce   int                       // requests that one dispatcher makes at once where every subscription is busy
}

// What keeps an examination from being felt: no command returns or walks more than
// doctorPage elements, no round trip carries more than doctorChunk commands, and what grows
// with the number of messages ends at a cap, which the finding then says.
const (
	doctorPage  = 1000
	doctorChunk = 500
	// mostEntries are compared one by one in all, and a quarter of it in one channel.
	mostEntries = 200_000
	// mostScans bounds the SCANs of one master: doctorPage keys each, of whomever they are.
	mostScans = 5000
)

// exam is one examination under way.
type exam struct {
	store *streams.Store
	db    *rdb.DB
	keys  rdb.Keys
	cfg   streams.Config
	o     Checkup
	x     Examination
	stock inventory
	subs  map[string]bool // every stored subscription, the unusable ones too
	// router is of the usable ones.
	router *medispatcher.Router
	// known says that subs is complete: without it nothing can be called an orphan.
	known   bool
	people  []medispatcher.Dispatcher
	alive   map[string]bool
	heard   bool // people is known
	units   []*unit
	heads   []*head
	blind   bool // messages could not be looked at further
	left    int  // of Most
	skipped int  // entries that were not compared
}

// Examine checks the Redis of this store and the state in it. It only reads, in small steps: it
// is safe beside working dispatchers. What Redis does not tell, or not to this user, is a finding
// of its own; the error is of ctx alone.
func Examine(ctx context.Context, s *streams.Store, o Checkup) (Examination, error) {
	d := &exam{store: s, db: s.DB(), keys: s.DB().Keys, cfg: s.DB().Config, o: o, subs: map[string]bool{}, alive: map[string]bool{}, left: o.Most, router: medispatcher.NewRouter(nil)}
	if d.left == 0 {
		d.left = mostEntries
	}
	err := d.run(ctx, []step{
		{AreaRedis, "masters", d.examineServers},
		{AreaRedis, "writes", d.examineWrites},
		{AreaRedis, "access", d.examineAccess},
		{AreaDispatchers, "list", d.examineDispatchers},
		{AreaSubscriptions, "documents", d.examineSubscriptions},
		{AreaMessages, "keys", d.takeStock},
		{AreaMessages, "recover lists", d.examineRecover},
		{AreaMessages, "incoming", d.examineIncoming},
		{AreaMessages, "kept", d.examineKept},
		{AreaMessages, "channels", d.examineChannels},
		{AreaMessages, "due times", d.examineDueTimes},
		{AreaMessages, "failure records", d.examineFailures},
		{AreaMessages, "delayed", d.examineDelayed},
		{AreaMessages, "unowned", d.examineUnowned},
		{AreaMessages, "vanished", d.examineVanished},
		{AreaDispatchers, "running", d.examineRunning},
	})
	return d.x, err
}

// ExamineRecover is Examine of a Redis that holds the recover lists alone.
func ExamineRecover(ctx context.Context, s *streams.Store) ([]Finding, error) {
	d := &exam{store: s, db: s.DB(), keys: s.DB().Keys, cfg: s.DB().Config}
	err := d.run(ctx, []step{
		{AreaRedis, "masters", d.examineServers},
		{AreaRedis, "writes", d.examineWrites},
		{AreaMessages, "keys", d.takeStock},
		{AreaMessages, "recover lists", d.examineRecover},
	})
	for i := range d.x.Findings {
		d.x.Findings[i].Area = AreaRecover
	}
	return d.x.Findings, err
}

// step is one part of an examination.
type step struct {
	area, check string
	do          func(context.Context) error
}

// run takes the steps one after another. What one cannot find out is a finding of its own.
func (d *exam) run(ctx context.Context, steps []step) error {
	for _, step := range steps {
		if d.blind && step.area == AreaMessages {
			continue // what was not seen must not look healthy
		}
		if err := step.do(ctx); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			d.unknown(step.area, step.check, err)
			d.blind = d.blind || step.area == AreaMessages
		}
	}
	return nil
}

func (d *exam) add(area, check string, level Level, seen, do string) {
	d.x.Findings = append(d.x.Findings, Finding{Area: area, Check: check, Level: level, Seen: seen, Do: do})
}

func (d *exam) ok(area, check, seen string) { d.add(area, check, LevelOK, seen, "") }

// unknown notes what could not be found out.
func (d *exam) unknown(area, check string, err error) {
	f := cannotTell(err)
	d.add(area, check, LevelUnknown, f.seen, f.do)
}

// verdict is what one check says of one server.
type verdict struct {
	level    Level
	seen, do string
}

// cannotTell is the verdict where Redis refuses an answer.
func cannotTell(err error) verdict {
	text := medispatcher.StepText(err)
	do := ""
	switch {
	case rdb.IsRefused(err):
		do = "let the user of MEDIS_REDIS_URL run that command, or look yourself"
	case rdb.IsWrongType(err):
		do = "see what is said of wrong key types"
	}
	return verdict{LevelUnknown, "cannot be told: " + text, do}
}

// count is "1 message", "2 messages".
func count[N int | int64](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// entries is "1 entry", "2 entries".
func entries(n int64) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}
