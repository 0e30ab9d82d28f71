package panel_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/solate/medispatcher"
)

var rules = medispatcher.Rules{
	Defaults: medispatcher.Subscription{
		Concurrency: 8, RetryConcurrency: 2, Timeout: medispatcher.Duration(5 * time.Second), MaxRetries: 10,
		RetryCoefficient: medispatcher.Duration(10 * time.Second), Encoding: medispatcher.EncodingJSON,
		Drop: medispatcher.DropPolicy{Action: medispatcher.DropKeep}, Alert: medispatcher.DefaultAlert(),
	},
	MaxConcurrency: 1500, MaxRetryConcurrency: 60, MaxTimeout: 30 * time.Second, SecretOverlap: time.Hour,
}

// fake is a registry and a store. err, when set, is what the step named by broken fails with.
type fake struct {
	docs   map[string]string
	counts medispatcher.ChannelStatus
	broken string
	err    error

	arriving int64 // messages that arrive while a subscription is being removed
	letters  []medispatcher.DeadLetter
	kept     map[medispatcher.KeptPlace][]medispatcher.Kept // the oldest first
	refused  string                                         // id of a kept message that cannot be replayed
	failing  []medispatcher.Failing
	many     bool                   // topics
	held     []medispatcher.Breaker // by dispatcher "a"

	alerts medispatcher.Alerts

	steps     []string // that changed something, in order
	published []medispatcher.Message
}

func newFake(ids ...string) *fake {
	f := &fake{docs: map[string]string{}}
	for _, id := range ids {
		f.docs[id] = fmt.Sprintf(`{"id":%q,"topic":"order.*","urls":["http://user:pw@h/"],"secret":"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"}`, id)
	}
	return f
}

func (f *fake) Alerts(context.Context) (medispatcher.Alerts, error) {
	return f.alerts, f.fails("alerts")
}

func (f *fake) TestAlert(context.Context, string) ([]medispatcher.Receipt, error) { return nil, nil }

func (f *fake) fails(step string) error {
	if f.broken == step {
		return f.err
	}
	return nil
}

func (f *fake) Subscriptions(context.Context) ([]medispatcher.Subscription, int64, error) {
	var subs []medispatcher.Subscription
	for id, doc := range f.docs {
		sub, _, err := rules.Load(id, []byte(doc))
		if err != nil {
			return nil, 0, err
		}
		subs = append(subs, sub)
	}
	return subs, 7, f.fails("list")
}

func (f *fake) Get(_ context.Context, id string) (medispatcher.Subscription, string, error) {
	if err := f.fails("get"); err != nil {
		return medispatcher.Subscription{}, "", err
	}
	doc, ok := f.docs[id]
	if !ok {
		return medispatcher.Subscription{}, "", fmt.Errorf("subscription %q: %w", id, medispatcher.ErrNotFound)
	}
	sub, _, err := rules.Load(id, []byte(doc))
	return sub, medispatcher.Rev([]byte(doc)), err
}

func (f *fake) matches(id, ifMatch string) error {
	doc, ok := f.docs[id]
	if ifMatch == "" || ok && (ifMatch == "*" || ifMatch == medispatcher.Rev([]byte(doc))) {
		return nil
	}
	return fmt.Errorf("subscription %q: %w", id, medispatcher.ErrPrecondition)
}

func (f *fake) Put(_ context.Context, id string, doc []byte, ifMatch string) (s medispatcher.Subscription, rev string, created bool, err error) {
	if err := f.fails("put"); err != nil {
		return s, "", false, err
	}
	if err := f.matches(id, ifMatch); err != nil {
		return s, "", false, err
	}
	old, had := f.docs[id]
	var before []byte
	if had {
		before = []byte(old)
	}
	stored, s, err := rules.Replace(id, before, doc, time.Now())
	if err != nil {
		return s, "", false, err
	}
	f.docs[id] = string(stored)
	f.steps = append(f.steps, "put "+id)
	return s, medispatcher.Rev(stored), !had, nil
}

func (f *fake) Patch(_ context.Context, id string, patch []byte, ifMatch string) (s medispatcher.Subscription, rev string, err error) {
	if err := f.fails("patch"); err != nil {
		return s, "", err
	}
	if err := f.matches(id, ifMatch); err != nil {
		return s, "", err
	}
	old, had := f.docs[id]
	if !had {
		return s, "", fmt.Errorf("subscription %q: %w", id, medispatcher.ErrNotFound)
	}
	stored, s, err := rules.Merge(id, []byte(old), patch, time.Now())
	if err != nil {
		return s, "", err
	}
	f.docs[id] = string(stored)
	f.steps = append(f.steps, "patch "+id)
	return s, medispatcher.Rev(stored), nil
}

func (f *fake) Remove(_ context.Context, id, ifMatch string) error {
	if err := f.fails("remove"); err != nil {
		return err
	}
	if err := f.matches(id, ifMatch); err != nil {
		return err
	}
	delete(f.docs, id)
	f.steps = append(f.steps, "remove "+id)
	return nil
}

func (f *fake) Publish(_ context.Context, m medispatcher.Message) (string, error) {
	if f.broken == "panic" {
		panic("the store is broken")
	}
	if err := f.fails("publish"); err != nil {
		return "", err
	}
	f.published = append(f.published, m)
	if m.ID == "" {
		return "0-1-0", nil
	}
	return m.ID, nil
}

func (f *fake) ChannelStatus(_ context.Context, ids []string) ([]medispatcher.ChannelStatus, error) {
	out := make([]medispatcher.ChannelStatus, len(ids))
	for i, id := range ids {
		out[i] = f.counts
		out[i].ID = id
	}
	return out, f.fails("counts")
}

func (f *fake) IncomingStatus(context.Context) (medispatcher.IncomingStatus, error) {
	return medispatcher.IncomingStatus{
		Ready: 3, OldestMS: 12, Quarantine: int64(len(f.kept[medispatcher.PlaceQuarantine])), Unrouted: int64(len(f.kept[medispatcher.PlaceUnrouted])),
	}, f.fails("incoming")
}

func (f *fake) Dispatchers(context.Context) ([]medispatcher.Dispatcher, error) {
	return []medispatcher.Dispatcher{{ID: "b", Held: f.held}, {ID: "a", Alive: true, Held: f.held}}, f.fails("dispatchers")
}

func (f *fake) Discard(_ context.Context, id string, messages bool) (medispatcher.ChannelStatus, error) {
	if err := f.fails("discard"); err != nil {
		return medispatcher.ChannelStatus{}, err
	}
	held := f.counts
	held.Ready += f.arriving
	if messages || held.Ready+held.Buried+held.Dead == 0 {
		f.steps = append(f.steps, "discard "+id)
	}
	return held, nil
}

func (f *fake) Purge(_ context.Context, id string) (ready, buried int64, err error) {
	if err := f.fails("purge"); err != nil {
		return 3, 0, err
	}
	f.steps = append(f.steps, "purge "+id)
	return f.counts.Ready, f.counts.Buried, nil
}

func (f *fake) Kick(_ context.Context, id string) (int, error) {
	if err := f.fails("kick"); err != nil {
		return 3, err
	}
	f.steps = append(f.steps, "kick "+id)
	return 5, nil
}

// index finds a dead letter by its id.
func (f *fake) index(id string) (int, error) {
	if !strings.HasPrefix(id, "0-") {
		return 0, medispatcher.FieldError{Field: "id", Problem: "no id"}
	}
	return slices.IndexFunc(f.letters, func(l medispatcher.DeadLetter) bool { return l.ID == id }), nil
}

func (f *fake) DeadLetters(_ context.Context, _, after string, limit int) ([]medispatcher.DeadLetter, error) {
	if err := f.fails("letters"); err != nil {
		return nil, err
	}
	from := 0
	if after != "" {
		i, err := f.index(after)
		if err != nil {
			return nil, err
		}
		from = i + 1
	}
	return f.letters[from:min(len(f.letters), from+limit)], nil
}

func (f *fake) DeadLetter(_ context.Context, id, letter string) (medispatcher.DeadLetter, error) {
	if err := f.fails("letters"); err != nil {
		return medispatcher.DeadLetter{}, err
	}
	i, err := f.index(letter)
	if err != nil {
		return medispatcher.DeadLetter{}, err
	}
	if i < 0 {
		return medispatcher.DeadLetter{}, fmt.Errorf("dead letter %s of %q: %w", letter, id, medispatcher.ErrNotFound)
	}
	return f.letters[i], nil
}

// take removes dead letters.
func (f *fake) take(step string, ids []string) (n int, err error) {
	if err := f.fails(step); err != nil {
		return 3, err
	}
	var problems medispatcher.Problems
	for i, id := range ids {
		if _, err := f.index(id); err != nil {
			problems = append(problems, medispatcher.FieldError{Field: fmt.Sprintf("ids[%d]", i), Problem: "no id"})
		}
	}
	if len(problems) > 0 {
		return 0, problems
	}
	for _, id := range ids {
		if i, _ := f.index(id); i >= 0 {
			f.letters = slices.Delete(f.letters, i, i+1)
			n++
		}
	}
	f.steps = append(f.steps, fmt.Sprint(step, " ", n))
	return n, nil
}

func (f *fake) takeAll(step string, more func(done, all int64) bool) (done, left int64, err error) {
	if err := f.fails(step); err != nil {
		return 3, 0, err
	}
	done = int64(len(f.letters))
	more(done, done)
	f.letters = nil
	f.steps = append(f.steps, fmt.Sprint(step, " all ", done))
	return done, left, nil
}

func (f *fake) Replay(_ context.Context, _ string, ids []string) (int, error) {
	return f.take("replay", ids)
}

func (f *fake) PurgeDead(_ context.Context, _ string, ids []string) (int, error) {
	return f.take("purgedead", ids)
}

func (f *fake) ReplayAll(_ context.Context, _ string, more func(done, all int64) bool) (done, left int64, err error) {
	return f.takeAll("replay", more)
}

func (f *fake) PurgeAllDead(_ context.Context, _ string, more func(done, all int64) bool) (done, left int64, err error) {
	return f.takeAll("purgedead", more)
}

func (f *fake) Changes(_ context.Context, id, before string, limit int) ([]medispatcher.Change, error) {
	change := medispatcher.Change{ID: "1-0", Subscription: id, By: "ann", What: medispatcher.Changed}
	if before != "" || limit < 1 {
		return []medispatcher.Change{}, f.fails("changes")
	}
	return []medispatcher.Change{change}, f.fails("changes")
}

func (f *fake) Failing(context.Context, string, int) ([]medispatcher.Failing, error) {
	return f.failing, f.fails("failing")
}

func (f *fake) Topics(context.Context) ([]string, bool, error) {
	return []string{"order.created", "order.paid"}, f.many, f.fails("topics")
}

func (f *fake) Stats(_ context.Context, subs, topics []string) (st medispatcher.Stats, err error) {
	st.Sums.Sent.Minute = 1204
	for _, topic := range topics {
		st.Topics = append(st.Topics, medispatcher.TopicStats{Topic: topic})
	}
	for _, id := range subs {
		st.Subscriptions = append(st.Subscriptions, medispatcher.SubscriptionStats{ID: id, Sent: medispatcher.Windows{Minute: 7}})
	}
	return st, f.fails("stats")
}

func (f *fake) SubscriptionSeries(_ context.Context, id, step string) (medispatcher.Series, error) {
	return medispatcher.Series{Step: 60, End: 60, Counts: map[string][]int64{"sent " + id + " " + step: {1, 2}}}, f.fails("series")
}

func (f *fake) Story(_ context.Context, id string, subs []string) (medispatcher.Story, error) {
	story := medispatcher.Story{ID: id, Places: []medispatcher.Place{}, Events: []medispatcher.Event{}}
	if id == "m-1" {
		story.Places = append(story.Places, medispatcher.Place{State: medispatcher.Ready, Subscription: subs[0]})
	}
	return story, f.fails("story")
}

// router is of the subscriptions there are.
func (f *fake) router() *medispatcher.Router {
	subs, _, _ := f.Subscriptions(context.Background())
	return medispatcher.NewRouter(subs)
}

func (f *fake) ListKept(_ context.Context, place medispatcher.KeptPlace, q medispatcher.KeptQuery) ([]medispatcher.Kept, error) {
	if err := f.fails("kept"); err != nil {
		return nil, err
	}
	list := slices.Clone(f.kept[place])
	if q.Newest {
		slices.Reverse(list)
	}
	if q.After != "" {
		at := slices.IndexFunc(list, func(k medispatcher.Kept) bool { return k.ID == q.After })
		if at < 0 {
			return nil, medispatcher.FieldError{Field: "id", Problem: "no id"}
		}
		list = list[at+1:]
	}
	list = list[:min(len(list), q.Limit)]
	for i := range list {
		list[i].Message.Body, list[i].Fields = nil, nil
	}
	return list, nil
}

func (f *fake) ReadKept(_ context.Context, place medispatcher.KeptPlace, id string) (medispatcher.Kept, error) {
	for _, k := range f.kept[place] {
		if k.ID == id {
			return k, f.fails("kept")
		}
	}
	return medispatcher.Kept{}, fmt.Errorf("%s message %s: %w", place, id, medispatcher.ErrNotFound)
}

func (f *fake) ReplayKept(_ context.Context, place medispatcher.KeptPlace, ids []string) (done medispatcher.KeptDone, err error) {
	if slices.Contains(ids, f.refused) && f.refused != "" {
		done.Refuse(f.refused, "it would come back")
		ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id == f.refused })
	}
	n, err := f.takeKept("replaykept", place, ids)
	done.Replayed, done.Missing = int64(n), int64(len(ids)-n)
	return done, err
}

func (f *fake) ReplayAllKept(_ context.Context, place medispatcher.KeptPlace, _ func(done, all int64) bool) (done medispatcher.KeptDone, err error) {
	done.Replayed = int64(len(f.kept[place]))
	if err := f.fails("replaykept"); err != nil {
		return done, err
	}
	delete(f.kept, place)
	return done, nil
}

func (f *fake) PurgeKept(_ context.Context, place medispatcher.KeptPlace, ids []string) (int, error) {
	return f.takeKept("purgekept", place, ids)
}

func (f *fake) PurgeAllKept(_ context.Context, place medispatcher.KeptPlace, _ func(done, all int64) bool) (done, left int64, err error) {
	done = int64(len(f.kept[place]))
	delete(f.kept, place)
	return done, 0, f.fails("purgekept")
}

// takeKept removes kept messages.
func (f *fake) takeKept(step string, place medispatcher.KeptPlace, ids []string) (n int, err error) {
	for i, id := range ids {
		if !strings.HasPrefix(id, "0-") {
			return 0, medispatcher.Problems{{Field: fmt.Sprintf("ids[%d]", i), Problem: "no id"}}
		}
	}
	before := len(f.kept[place])
	f.kept[place] = slices.DeleteFunc(f.kept[place], func(k medispatcher.Kept) bool { return slices.Contains(ids, k.ID) })
	f.steps = append(f.steps, step)
	return before - len(f.kept[place]), f.fails(step)
}
