package paneltest

import (
	"context"
	"time"

	"github.com/solate/medispatcher"
)

// Archives: there is one.
func (f *Fake) Archives() bool { return !f.NoArchive }

// ArchiveSpan is an archive with one message.
func (f *Fake) ArchiveSpan(context.Context) (medispatcher.ArchiveSpan, error) {
	return medispatcher.ArchiveSpan{Messages: 1, Bytes: 10, Oldest: time.Now().Add(-time.Hour)}, f.fails("archive")
}

func (f *Fake) CountReplay(context.Context, medispatcher.Replay) (medispatcher.ReplayCount, error) {
	return medispatcher.ReplayCount{Looked: 2, Messages: 1, Bytes: 10}, f.fails("archive")
}

func (f *Fake) StartReplay(_ context.Context, r medispatcher.Replay) (medispatcher.Replay, bool, error) {
	f.Steps = append(f.Steps, "replay "+r.Subscription+" "+r.Asked.Since)
	return r, false, f.fails("replay")
}

func (f *Fake) ReplayOf(_ context.Context, sub string) (medispatcher.Replay, error) {
	return medispatcher.Replay{ID: "r", Subscription: sub, Asked: medispatcher.ReplayAsk{Since: "2h"}}, f.fails("replay")
}

func (f *Fake) ReplayProgress(context.Context, medispatcher.Replay) (medispatcher.ReplayProgress, error) {
	return medispatcher.ReplayProgress{Looked: 2, Replayed: 1, Done: 0.5}, f.fails("replay")
}

func (f *Fake) EndReplay(_ context.Context, r *medispatcher.Replay) error {
	f.Steps = append(f.Steps, "stop replay "+r.Subscription)
	return f.fails("replay")
}

func (f *Fake) PutFrom(ctx context.Context, put medispatcher.SubscriptionPut) (done medispatcher.SubscriptionPutDone) {
	done.Subscription, done.Revision, done.Created, done.Err = f.Put(ctx, put.ID, put.Document, put.IfMatch)
	return done
}
