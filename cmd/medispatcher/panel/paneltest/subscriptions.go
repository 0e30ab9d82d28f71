package paneltest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/solate/medispatcher"
)

func (f *Fake) Subscriptions(context.Context) (*medispatcher.Subscriptions, int64, error) {
	var subs []medispatcher.Subscription
	for id, doc := range f.Docs {
		sub, _, err := Rules.Load(id, []byte(doc))
		if err != nil {
			return nil, 0, err
		}
		subs = append(subs, *sub)
	}
	return medispatcher.NewSubscriptions(subs...), 7, f.fails("list")
}

func (f *Fake) Get(_ context.Context, id string) (medispatcher.Subscription, string, error) {
	if err := f.fails("get"); err != nil {
		return medispatcher.Subscription{}, "", err
	}
	doc, ok := f.Docs[id]
	if !ok {
		return medispatcher.Subscription{}, "", fmt.Errorf("subscription %q: %w", id, medispatcher.ErrNotFound)
	}
	rev := medispatcher.Rev([]byte(doc))
	sub, _, err := Rules.Load(id, []byte(doc))
	if err != nil {
		return medispatcher.Subscription{}, rev, err
	}
	return *sub, rev, nil
}

func (f *Fake) matches(id, ifMatch string) error {
	doc, ok := f.Docs[id]
	if ifMatch == "" || !ok && ifMatch == medispatcher.NoRevision || ok && (ifMatch == "*" || ifMatch == medispatcher.Rev([]byte(doc))) {
		return nil
	}
	return fmt.Errorf("subscription %q: %w", id, medispatcher.ErrPrecondition)
}

func (f *Fake) Put(_ context.Context, id string, doc []byte, ifMatch string) (s medispatcher.Subscription, rev string, created bool, err error) {
	if err := f.fails("put"); err != nil {
		return s, "", false, err
	}
	if err := f.matches(id, ifMatch); err != nil {
		return s, "", false, err
	}
	old, had := f.Docs[id]
	var before []byte
	if had {
		before = []byte(old)
	}
	stored, s, err := Rules.Replace(id, before, doc, time.Now())
	if err != nil {
		return s, "", false, err
	}
	f.Docs[id] = string(stored)
	f.Steps = append(f.Steps, "put "+id)
	return s, medispatcher.Rev(stored), !had, nil
}

func (f *Fake) Patch(_ context.Context, id string, patch []byte, ifMatch string) (s medispatcher.Subscription, rev string, err error) {
	if err := f.fails("patch"); err != nil {
		return s, "", err
	}
	if err := f.matches(id, ifMatch); err != nil {
		return s, "", err
	}
	old, had := f.Docs[id]
	if !had {
		return s, "", fmt.Errorf("subscription %q: %w", id, medispatcher.ErrNotFound)
	}
	stored, s, err := Rules.Merge(id, []byte(old), patch, time.Now())
	if err != nil {
		return s, "", err
	}
	f.Docs[id] = string(stored)
	f.Steps = append(f.Steps, "patch "+id)
	return s, medispatcher.Rev(stored), nil
}

func (f *Fake) Remove(_ context.Context, id, ifMatch string) error {
	if err := f.fails("remove"); err != nil {
		return err
	}
	if err := f.matches(id, ifMatch); err != nil {
		return err
	}
	delete(f.Docs, id)
	f.Steps = append(f.Steps, "remove "+id)
	return nil
}

func (f *Fake) Changes(_ context.Context, id, before string, limit int) ([]medispatcher.Change, error) {
	change := medispatcher.Change{ID: "1-0", Subscription: id, By: "ann", What: medispatcher.Changed}
	if before != "" || limit < 1 {
		return []medispatcher.Change{}, f.fails("changes")
	}
	return []medispatcher.Change{change}, f.fails("changes")
}

// Router is of the subscriptions there are.
func (f *Fake) Router() *medispatcher.Router {
	subs, _, _ := f.Subscriptions(context.Background())
	return subs.Router()
}

// PutAllOrNone puts subscriptions; see api.Registry.
func (f *Fake) PutAllOrNone(ctx context.Context, puts []medispatcher.SubscriptionPut) (done []medispatcher.SubscriptionPutDone, good bool) {
	put := func(f *Fake) []medispatcher.SubscriptionPutDone {
		done := make([]medispatcher.SubscriptionPutDone, len(puts))
		for i, p := range puts {
			d := &done[i]
			d.Subscription, d.Revision, d.Created, d.Err = f.Put(ctx, p.ID, p.Document, p.IfMatch)
		}
		return done
	}
	done = put(&Fake{Docs: maps.Clone(f.Docs), Broken: f.Broken, Err: f.Err})
	if slices.ContainsFunc(done, func(d medispatcher.SubscriptionPutDone) bool { return d.Err != nil }) {
		return done, false
	}
	return put(f), true
}
