package panel_test

import (
	"context"
	"fmt"
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
	return medispatcher.IncomingStatus{Ready: 3, OldestMS: 12}, f.fails("incoming")
}

func (f *fake) Dispatchers(context.Context) ([]medispatcher.Dispatcher, error) {
	return []medispatcher.Dispatcher{{ID: "b"}, {ID: "a", Alive: true}}, f.fails("dispatchers")
}

func (f *fake) Discard(_ context.Context, id string) error {
	if err := f.fails("discard"); err != nil {
		return err
	}
	f.steps = append(f.steps, "discard "+id)
	return nil
}

func (f *fake) Changes(_ context.Context, id, before string, limit int) ([]medispatcher.Change, error) {
	change := medispatcher.Change{ID: "1-0", Subscription: id, By: "ann", What: medispatcher.Changed}
	if before != "" || limit < 1 {
		return []medispatcher.Change{}, f.fails("changes")
	}
	return []medispatcher.Change{change}, f.fails("changes")
}

func (f *fake) Story(_ context.Context, id string, subs []string) (medispatcher.Story, error) {
	story := medispatcher.Story{ID: id, Places: []medispatcher.Place{}, Events: []medispatcher.Event{}}
	if id == "m-1" {
		story.Places = append(story.Places, medispatcher.Place{State: medispatcher.Ready, Subscription: subs[0]})
	}
	return story, f.fails("story")
}
