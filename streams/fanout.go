package streams

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/entry"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

var (
	//go:embed fanout.lua
	fanoutPlain string
	//go:embed fanout_rest.lua
	fanoutRest string
	//go:embed fanout_end.lua
	fanoutEnd string

	fanoutScript = rdb.NewScript(countLua + linePartsLua + fanoutPlain + "if at <= #ARGV then\n" +
		keepLua + vanishedLua + renewLua + timeLua + lineLua + archiveLua + fanoutRest + "end\n" + fanoutEnd)
)

// Routing says where one incoming entry belongs. At most one of Reason, Due and Subs is set.
// If none is, and neither After nor Filtered, nobody wants the topic: it goes to the unrouted messages.
type Routing struct {
	EntryID  string
	Message  medispatcher.Message
	Src      string    // id of its first incoming entry: its own, unless it was delayed or replayed
	Reason   string    // why it cannot be decoded: it goes to the quarantine
	Due      time.Time // when to route it: until then it goes to the delayed messages
	Subs     []string  // it is copied to the channels of these subscriptions, sorted
	Ordered  []string  // those of Subs, and perhaps others, that want the copies of a key one after another; empty without a key
	After    string    // the last subscription that has a copy already; Subs may then be empty
	More     bool      // Subs is not all of them: another step goes on after the last one
	Filtered bool      // somebody wants the topic, and the filters of all of them refuse the message
	Released bool      // it was delayed before, and its id was marked as seen then
	follows  bool      // see Entry

	wanted   []string // who wants the topic, and what their filters say; nil: nobody filters
	verdicts []medispatcher.Verdict
}

func (r *Routing) unrouted() bool {
	return r.Reason == "" && r.Due.IsZero() && len(r.Subs) == 0 && r.After == "" && !r.Filtered
}

// Routed is what became of one incoming entry.
type Routed struct {
	Result  RoutedResult
	Failed  []string // subscriptions whose channel could not take the copy, now in the quarantine
	Unready bool     // the lines of an ordered channel have to be brought in order; see Straighten
	At      string   // only with RoutedBehind: the last subscription that has its copy; "": none has

	// Wanted are the subscriptions of the topic, and Verdicts what their filters say; nil: nobody filters. Only events have them.
	Wanted   []string
	Verdicts []medispatcher.Verdict
}

// RoutedResult classifies what became of an incoming entry.
type RoutedResult string

// The results of a fan-out.
const (
	RoutedCopied      RoutedResult = "copied"
	RoutedFiltered    RoutedResult = "filtered"   // wanted, and refused by every filter
	RoutedUnroutable  RoutedResult = "unroutable" // kept among the unrouted messages
	RoutedDuplicate   RoutedResult = "duplicate"
	RoutedQuarantined RoutedResult = "quarantined"
	RoutedDelayed     RoutedResult = "delayed"
	RoutedVanished    RoutedResult = "vanished" // somebody deleted it by hand before it was moved
	RoutedGone        RoutedResult = "gone"     // moved before, perhaps by another dispatcher
)

// The results of a step that leaves the entry where it is.
const (
	RoutedMore   RoutedResult = "more" // the subscriptions of this step have their copies
	RoutedBehind RoutedResult = "at"   // nothing was done: After is not the last subscription that has its copy
	RoutedWait   RoutedResult = "wait" // nothing was done: an entry before it is not finished
	// RoutedEarly: nothing was done. An ordered channel wants a copy, and an older entry is pending that was not among the
	// routings before it, perhaps in the hand of another dispatcher. That one has to be moved first, by whomever.
	RoutedEarly RoutedResult = "early"
	// RoutedOutdated: nothing was done: the archive asks for newer subscriptions.
	RoutedOutdated RoutedResult = "outdated"
)

func (r RoutedResult) final() bool {
	return r != "" && r != RoutedMore && r != RoutedBehind && r != RoutedWait && r != RoutedEarly && r != RoutedOutdated
}

// RoutedBy says by which subscriptions the entries of a step were routed.
type RoutedBy struct {
	Revision int64 // as in Snapshot
	Fresh    bool  // it was read after a step was RoutedOutdated
}

// Fanout moves entries from a partition's incoming stream to where they belong.
// The copies, the acknowledgement and the removal of one entry are one step. With More they are
// several: Redis then remembers what is copied, and the entry stays until the last step.
// Fanout finds entries gone that were moved before, by whichever dispatcher, so a repetition is safe.
// The results are in the order of the routings. With an error, an entry whose result is empty
// is as it was, and the others are done.
func (s *Store) Fanout(ctx context.Context, p int, routings []Routing) ([]Routed, error) {
	routed, _, err := s.FanoutHand(ctx, p, RoutedBy{}, routings, nil)
	return routed, err
}

// FanoutHand is Fanout, and in the same step takes messages of channels for this process: INCOMING → READY →
// BURIED. It takes none of a channel that had READY messages before. A copy that it takes does not come back from Redis: it is
// made of its routing, whose memory it shares. Without a result, taken is unknown: if the
// reply was lost, this process may own messages without knowing; see Mine.
func (s *Store) FanoutHand(ctx context.Context, p int, by RoutedBy, routings []Routing, hand []medispatcher.Want) (routed []Routed, taken []medispatcher.Delivery, err error) {
	if len(routings) == 0 {
		return nil, nil, nil
	}
	k := keyList{keys: append(s.countKeys(p), s.keys.Incoming(p), s.keys.Delayed(p), s.keys.DelayedBody(p),
		s.keys.Quarantine(p), s.keys.QuarantineSize(p), s.keys.Unrouted(p), s.keys.UnroutedSize(p), s.keys.Copying(p), s.keys.Active(p), s.keys.Archive(p), s.keys.ArchiveState(p)), index: map[string]int{}}
	argv := []any{
		s.cfg.ID, s.cfg.DedupeWindow.Milliseconds(),
		s.cfg.Quarantine.Entries, s.cfg.Quarantine.Bytes, s.cfg.Unrouted.Entries, s.cfg.Unrouted.Bytes,
		s.archiveMost(), by.Revision, by.Fresh,
	}
	argv = appendRuns(argv, routings)
	argv, places := s.appendLists(argv, &k, p, routings)
	argv = append(argv, len(hand))
	for _, w := range hand {
		argv = append(argv, k.place(s.keys.Channel(p, w.Subscription)), w.Max)
	}
	argv = s.appendOrdered(argv, &k, p, routings)
	whole, heads := s.layout.whole(), []byte(nil)
	copies := make([]string, len(routings)) // the head of each
	for i, r := range routings {
		seen := 0
		if r.Message.ID != "" && !r.Message.Generated && r.Reason == "" && (!r.Released || r.unrouted()) {
			seen = k.place(s.keys.Seen(p, r.Message.ID))
		}
		argv = append(argv, r.EntryID)
		switch time := r.Message.Time.UnixMilli(); {
		case r.Reason != "":
			argv = append(argv, "quarantine", r.Reason)
		case !r.Due.IsZero():
			argv = append(argv, "delay", r.Due.UnixMilli(), seen, time)
		default:
			from := len(heads)
			if whole {
				heads = entry.AppendHead(heads, cmp.Or(r.Src, r.EntryID), &r.Message)
			}
			head := heads[from:len(heads):len(heads)]
			if len(hand) > 0 {
				copies[i] = string(head)
			}
			if whole && places[i] > 0 && seen == 0 && r.After == "" && !r.More {
				argv = append(argv, places[i], head)
				break
			}
			upto := ""
			if r.More {
				upto = r.Subs[len(r.Subs)-1]
			}
			argv = append(argv, "copy", places[i], head, seen, time, r.After, upto)
		}
	}
	var answer any
	wrong := false
	_, err = rdb.Read(ctx, s.db, fanoutScript, func(c *rdb.Cursor) bool {
		if len(hand) > 0 {
			c.Len()
		}
		answer = c.Value()
		for _, w := range hand {
			for range c.Len() - 1 {
				e := c.Entry()
				taken = append(taken, entry.Delivery(w.Channel, e.ID, 1, e.Fields))
			}
			for range c.Len() / 2 {
				id, of := c.Text(), c.Int()-1
				if of < 0 || of >= len(routings) {
					of, wrong = 0, true
				}
				taken = append(taken, entry.Copied(w.Channel, id, copies[of], routings[of].Message.Body))
			}
		}
		return true
	}, k.keys, argv...)
	if err == nil && wrong {
		err = errors.New("unreadable answer: it names an entry that was not sent")
	}
	if err == nil {
		routed, err = s.parseRouted(p, answer, routings)
		for i := range routed {
			if routed[i].Result == RoutedCopied && routings[i].Filtered && routings[i].After == "" {
				routed[i].Result = RoutedFiltered
			}
		}
	} else {
		err = rdb.Failed("fan-out", err)
	}
	if routed == nil {
		taken = nil
	}
	return routed, taken, err
}

// appendRuns appends the number of runs among the entries, and each run.
func appendRuns(argv []any, routings []Routing) []any {
	at := len(argv)
	argv = append(argv, 0)
	first := 0
	for i := range routings {
		if next := i + 1; next == len(routings) || !routings[next].follows {
			argv = append(argv, routings[first].EntryID, routings[i].EntryID, next-first)
			first = next
		}
	}
	argv[at] = (len(argv) - at) / 3
	return argv
}

// appendLists appends the lists of channels that the entries go to, each once, and the subscription of each channel. It returns
// the number of each entry's list, 0 for those that go to none.
func (s *Store) appendLists(argv []any, k *keyList, p int, routings []Routing) ([]any, []int) {
	at := len(argv)
	argv = append(argv, 0)
	names := []any{0}
	places := make([]int, len(routings))
	var lists [][]string
	for i := range routings {
		subs := routings[i].Subs
		if len(subs) == 0 && !routings[i].Filtered {
			continue
		}
		n := slices.IndexFunc(lists, func(list []string) bool { return slices.Equal(list, subs) })
		if n < 0 {
			n, lists = len(lists), append(lists, subs)
			argv = append(argv, len(subs))
			for _, sub := range subs {
				known := len(k.keys)
				if argv = append(argv, k.place(s.keys.Channel(p, sub))); len(k.keys) > known {
					names = append(names, sub)
				}
			}
		}
		places[i] = n + 1
	}
	argv[at], names[0] = len(lists), len(names)-1
	return append(argv, names...), places
}

// appendOrdered appends the number of ordered channels, and the numbers of each one and of its line.
func (s *Store) appendOrdered(argv []any, k *keyList, p int, routings []Routing) []any {
	at, done := len(argv), map[string]bool{}
	argv = append(argv, 0)
	for i := range routings {
		r := &routings[i]
		for _, sub := range r.Ordered {
			channel := k.index[s.keys.Channel(p, sub)]
			if channel == 0 || done[sub] {
				continue // another step has it
			}
			done[sub] = true
			argv = append(argv, channel, k.place(s.keys.Line(p, sub)))
			k.place(s.keys.Wait(p, sub))
		}
	}
	argv[at] = len(done)
	return argv
}

func (s *Store) parseRouted(p int, answer any, routings []Routing) ([]Routed, error) {
	switch answer {
	case int64(len(routings)):
		return slices.Repeat([]Routed{{Result: RoutedCopied}}, len(routings)), nil
	case string(RoutedOutdated):
		return slices.Repeat([]Routed{{Result: RoutedOutdated}}, len(routings)), nil
	}
	res, _ := answer.([]any)
	if len(res) != len(routings) {
		return nil, rdb.Failed("fan-out", fmt.Errorf("%d answers for %d entries", len(res), len(routings)))
	}
	routed := make([]Routed, len(res))
	var problems []error
	known := map[string]bool{} // usually all entries fail with the same error
	for i := range res {
		line, _ := res[i].(string)
		result, rest, _ := strings.Cut(line, " ")
		routed[i].Result = RoutedResult(result)
		if result == "error" {
			routed[i].Result = ""
			if !known[rest] {
				known[rest] = true
				problems = append(problems, rdb.Failed("fan-out", errors.New(rest)))
			}
			continue
		}
		if result == string(RoutedVanished) {
			s.vanished.note(Vanished{Partition: p, From: FromIncoming, Count: 1, First: routings[i].EntryID, Last: routings[i].EntryID})
		}
		if routed[i].Result == RoutedBehind {
			routed[i].At = rest
			continue
		}
		for at := range strings.FieldsSeq(rest) {
			if at == "~" {
				routed[i].Unready = true
				continue
			}
			n, err := strconv.Atoi(at)
			if err != nil || n < 1 || n > len(routings[i].Subs) {
				return nil, rdb.Unreadable("fan-out", line)
			}
			routed[i].Failed = append(routed[i].Failed, routings[i].Subs[n-1])
		}
	}
	return routed, errors.Join(problems...)
}
