package paneltest

import (
	"context"
	"time"

	"github.com/solate/medispatcher"
)

func (f *Fake) Publish(_ context.Context, m medispatcher.Message) (string, error) {
	if f.Broken == "panic" {
		panic("the store is broken")
	}
	if err := f.fails("publish"); err != nil {
		return "", err
	}
	f.Published = append(f.Published, m)
	if m.ID == "" {
		return "0-1-0", nil
	}
	return m.ID, nil
}

func (f *Fake) PublishAll(ctx context.Context, messages []medispatcher.Message) ([]string, error) {
	ids := make([]string, len(messages))
	for i, m := range messages {
		id, err := f.Publish(ctx, m)
		if err != nil {
			return ids, err
		}
		ids[i] = id
	}
	return ids, nil
}

func (f *Fake) ChannelStatus(_ context.Context, ids []string) ([]medispatcher.ChannelStatus, error) {
	out := make([]medispatcher.ChannelStatus, len(ids))
	for i, id := range ids {
		out[i] = f.Counts
		out[i].ID = id
	}
	return out, f.fails("counts")
}

func (f *Fake) IncomingStatus(context.Context) (medispatcher.IncomingStatus, error) {
	return medispatcher.IncomingStatus{
		Ready: 3, OldestMS: 12, Quarantine: int64(len(f.Kept[medispatcher.PlaceQuarantine])), Unrouted: int64(len(f.Kept[medispatcher.PlaceUnrouted])),
	}, f.fails("incoming")
}

func (f *Fake) Dispatchers(context.Context) ([]medispatcher.Dispatcher, error) {
	return []medispatcher.Dispatcher{{ID: "b", Held: f.Held}, {ID: "a", Alive: true, Retention: time.Hour, Held: f.Held}}, f.fails("dispatchers")
}

// Dividing: each of the dispatchers that live has the whole limits.
func (f *Fake) Dividing(among []medispatcher.Dispatcher) func(*medispatcher.Subscription) []medispatcher.Share {
	return func(sub *medispatcher.Subscription) (list []medispatcher.Share) {
		for _, d := range among {
			if d.Alive {
				list = append(list, medispatcher.Share{Dispatcher: d.ID, Pushes: sub.Concurrency, Retries: sub.RetryConcurrency})
			}
		}
		return list
	}
}

func (f *Fake) Discard(_ context.Context, id string, messages bool) (medispatcher.ChannelStatus, error) {
	if err := f.fails("discard"); err != nil {
		return medispatcher.ChannelStatus{}, err
	}
	held := f.Counts
	held.Ready += f.Arriving
	if messages || held.Ready+held.Buried+held.Dead == 0 {
		f.Steps = append(f.Steps, "discard "+id)
	}
	return held, nil
}

func (f *Fake) Purge(_ context.Context, id string) (ready, buried int64, err error) {
	if err := f.fails("purge"); err != nil {
		return 3, 0, err
	}
	f.Steps = append(f.Steps, "purge "+id)
	return f.Counts.Ready, f.Counts.Buried, nil
}

func (f *Fake) Kick(_ context.Context, id string) (int, error) {
	if err := f.fails("kick"); err != nil {
		return 3, err
	}
	f.Steps = append(f.Steps, "kick "+id)
	return 5, nil
}

func (f *Fake) Failing(context.Context, string, int) ([]medispatcher.Failing, error) {
	return f.Failed, f.fails("failing")
}

func (f *Fake) Attempts(context.Context, string) ([]medispatcher.Attempt, error) {
	return f.Ended, f.fails("attempts")
}

func (f *Fake) Topics(context.Context) ([]string, bool, error) {
	return []string{"order.created", "order.paid"}, f.ManyTopics, f.fails("topics")
}

func (f *Fake) Stats(_ context.Context, subs, topics []string) (st medispatcher.Stats, err error) {
	st.Sums.Sent.Minute = 1204
	for _, topic := range topics {
		st.Topics = append(st.Topics, medispatcher.TopicStats{Topic: topic})
	}
	for _, id := range subs {
		st.Subscriptions = append(st.Subscriptions, medispatcher.SubscriptionStats{ID: id, Sent: medispatcher.Windows{Minute: 7}})
	}
	return st, f.fails("stats")
}

func (f *Fake) SubscriptionSeries(_ context.Context, id, step string) (medispatcher.Series, error) {
	return medispatcher.Series{Step: 60, End: 60, Counts: map[string][]int64{"sent " + id + " " + step: {1, 2}}}, f.fails("series")
}

// Times has one value.
func (f *Fake) Times(_ context.Context, id, step string) (medispatcher.TimeSeries, error) {
	return medispatcher.TimeSeries{Step: 60, End: 60, Errors: map[string][]int64{"503 " + id + " " + step: {1}}}, f.fails("times")
}

func (f *Fake) Story(_ context.Context, id string, subs []string) (medispatcher.Story, error) {
	story := medispatcher.Story{ID: id, Places: []medispatcher.Place{}, Events: []medispatcher.Event{}}
	if id == "m-1" {
		story.Places = append(story.Places, medispatcher.Place{State: medispatcher.Ready, Subscription: subs[0]})
	}
	return story, f.fails("story")
}

// ReadAt finds the message m-1, and the dead letters.
func (f *Fake) ReadAt(_ context.Context, at medispatcher.Place) (medispatcher.Found, error) {
	if err := f.fails("read"); err != nil {
		return medispatcher.Found{}, err
	}
	found := medispatcher.Found{Place: at, Message: medispatcher.Message{ID: "m-1", Topic: "order.created", Type: "application/json", Body: []byte(`{"a":"it's"}`)}}
	if at.State == medispatcher.Dead {
		i, err := f.index("0-" + at.Entry)
		if err != nil || i < 0 {
			return found, medispatcher.ErrNotFound
		}
		found.Message = f.Letters[i].Message
	}
	return found, nil
}

// Try has the worker refuse the message.
func (f *Fake) Try(_ context.Context, sub *medispatcher.Subscription, m medispatcher.Message) (medispatcher.Trial, error) {
	if err := f.fails("try"); err != nil {
		return medispatcher.Trial{}, err
	}
	f.Steps = append(f.Steps, "try "+m.Topic+" "+m.Type)
	req, err := f.Show(sub, &medispatcher.Delivery{Message: m})
	t := medispatcher.Trial{Request: req, Status: 503, Answer: "busy", Problem: "status 503: busy"}
	t.ShowBody()
	return t, err
}

// Show is what the worker of a subscription would get.
func (f *Fake) Show(sub *medispatcher.Subscription, d *medispatcher.Delivery) (medispatcher.Request, error) {
	return medispatcher.Request{
		URL: "http://h/" + sub.ID, Masked: true, Body: d.Message.Body,
		Headers: []medispatcher.HeaderField{{Name: "Webhook-Id", Value: d.Message.WebhookID()}, {Name: "Authorization", Value: medispatcher.Mask}},
	}, f.fails("show")
}
