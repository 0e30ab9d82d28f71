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
	LevelUnknown Level = "unknown" // could not be checked
	LevelWarning Level = "warning" // may become a problem, or is being repaired
	LevelProblem Level = "problem" // messages are lost, stuck or refused, or will be
)

// Areas of findings.
const (
	AreaRedis         = "Redis"
	AreaRecover       = "Recover Redis" // if it is not the same Redis
	AreaDispatchers   = "Dispatchers"
	AreaSubscriptions = "Subscriptions"
	AreaMessages      = "Messages"
)

// Finding is the outcome of one check.
type Finding struct {
	Area    string `json:"area"`
	Check   string `json:"check"` // the name of the check, whatever its outcome
	Level   Level  `json:"level"`
	Seen    string `json:"seen"`
	Do      string `json:"do,omitempty"`
	Partial bool   `json:"partial,omitempty"` // only a part was examined; Seen says how much
}

// Checkup says what to examine.
type Checkup struct {
	Rules medispatcher.Rules // for stored subscriptions
	// Most limits how many entries are compared one by one, in all channels together; 0: mostEntries.
	Most int
}

// Examination is what was found.
type Examination struct {
	Findings []Finding
	MaxBulk  int64                     // bytes, the largest value that every master accepts; 0: not known
	Slowest  medispatcher.Subscription // the one with the longest timeout; an empty ID: no subscription
	AtOnce   int                       // concurrent requests of one dispatcher when every subscription is busy
}

// These limits keep an examination from slowing Redis down. No command returns or walks more than
// doctorPage elements. No round trip carries more than doctorChunk commands. Work that grows with
// the number of messages stops at a cap, and the finding says so.
const (
	doctorPage  = 1000
	doctorChunk = 500
	// mostEntries is how many entries are compared one by one, at most a quarter of them in one channel.
	mostEntries = 200_000
	// mostScans bounds the SCANs of one master. Each walks doctorPage keys, including those of other programs.
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
	subs  map[string]bool // every stored subscription, also the unusable ones
	// router has the usable ones.
	router *medispatcher.Router
	// known says that subs is complete. Otherwise nothing can be called an orphan.
	known   bool
	people  []medispatcher.Dispatcher
	alive   map[string]bool
	heard   bool // people is complete
	units   []*unit
	heads   []*head
	blind   bool // a check of messages failed: the later ones are left out
	left    int  // how many entries may still be compared
	skipped int  // entries that were not compared
}

// Examine checks the Redis of this store and the state in it. It only reads, in small steps, so it
// is safe while dispatchers work. A check that Redis does not answer, or refuses to this user, is a
// finding of level unknown. The only error is that of ctx.
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
		{AreaMessages, "archive", d.examineArchive},
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

// ExamineRecover is Examine for a Redis that holds only the recover lists.
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

// run runs the steps in order. A step that fails becomes a finding of level unknown.
func (d *exam) run(ctx context.Context, steps []step) error {
	for _, step := range steps {
		if d.blind && step.area == AreaMessages {
			continue // what was not examined must not look healthy
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

// unknown adds the finding for a check that failed.
func (d *exam) unknown(area, check string, err error) {
	f := notChecked(err)
	d.add(area, check, LevelUnknown, f.seen, f.do)
}

// verdict is the outcome of one check of one server.
type verdict struct {
	level    Level
	seen, do string
}

// notChecked is the verdict of a check that Redis did not answer.
func notChecked(err error) verdict {
	text := medispatcher.StepText(err)
	do := ""
	switch {
	case rdb.IsRefused(err):
		do = "allow the user of MEDIS_REDIS_URL to run that command, or check this yourself"
	case rdb.IsWrongType(err):
		do = "see the finding about key types"
	}
	return verdict{LevelUnknown, "could not be checked: " + text, do}
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
