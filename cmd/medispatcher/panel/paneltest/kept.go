package paneltest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/solate/medispatcher"
)

func (f *Fake) ListKept(_ context.Context, place medispatcher.KeptPlace, q medispatcher.KeptQuery) ([]medispatcher.Kept, error) {
	if err := f.fails("kept"); err != nil {
		return nil, err
	}
	list := slices.Clone(f.Kept[place])
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

func (f *Fake) ReadKept(_ context.Context, place medispatcher.KeptPlace, id string) (medispatcher.Kept, error) {
	for _, k := range f.Kept[place] {
		if k.ID == id {
			return k, f.fails("kept")
		}
	}
	return medispatcher.Kept{}, fmt.Errorf("%s message %s: %w", place, id, medispatcher.ErrNotFound)
}

func (f *Fake) ReplayKept(_ context.Context, place medispatcher.KeptPlace, ids []string) (done medispatcher.KeptDone, err error) {
	if slices.Contains(ids, f.Refused) && f.Refused != "" {
		done.Refuse(f.Refused, "it would come back")
		ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id == f.Refused })
	}
	n, err := f.takeKept("replaykept", place, ids)
	done.Replayed, done.Missing = int64(n), int64(len(ids)-n)
	return done, err
}

func (f *Fake) ReplayAllKept(_ context.Context, place medispatcher.KeptPlace, _ func(done, all int64) bool) (done medispatcher.KeptDone, err error) {
	done.Replayed = int64(len(f.Kept[place]))
	if err := f.fails("replaykept"); err != nil {
		return done, err
	}
	delete(f.Kept, place)
	return done, nil
}

func (f *Fake) PurgeKept(_ context.Context, place medispatcher.KeptPlace, ids []string) (int, error) {
	return f.takeKept("purgekept", place, ids)
}

func (f *Fake) PurgeAllKept(_ context.Context, place medispatcher.KeptPlace, _ func(done, all int64) bool) (done, left int64, err error) {
	done = int64(len(f.Kept[place]))
	delete(f.Kept, place)
	return done, 0, f.fails("purgekept")
}

// takeKept removes kept messages.
func (f *Fake) takeKept(step string, place medispatcher.KeptPlace, ids []string) (n int, err error) {
	for i, id := range ids {
		if !strings.HasPrefix(id, "0-") {
			return 0, medispatcher.Problems{{Field: fmt.Sprintf("ids[%d]", i), Problem: "no id"}}
		}
	}
	before := len(f.Kept[place])
	f.Kept[place] = slices.DeleteFunc(f.Kept[place], func(k medispatcher.Kept) bool { return slices.Contains(ids, k.ID) })
	f.Steps = append(f.Steps, step)
	return before - len(f.Kept[place]), f.fails(step)
}

// KeepAway fills the two places of a fake.
func KeepAway(f *Fake) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Kept = map[medispatcher.KeptPlace][]medispatcher.Kept{
		medispatcher.PlaceUnrouted: {
			{ID: "0-1-0", At: at, Bytes: 42, Message: medispatcher.Message{ID: "m1", Topic: "oder.created", Body: []byte("<b>one</b>")}},
			{ID: "0-2-0", At: at, Bytes: 43, Message: medispatcher.Message{ID: "m2", Topic: "no.body", Body: []byte("\xff")}},
			{ID: "0-3-0", At: at, Bytes: 44, Message: medispatcher.Message{ID: "m3", Topic: "order.paid", Body: []byte("three")}},
		},
		medispatcher.PlaceQuarantine: {
			{ID: "0-4-0", At: at, Bytes: 50, Reason: "DECODERR topic: is missing <i>", Source: "1-1", Fields: map[string]string{"tropic": "a\u202eb", "body": "four", "n\xff": "x"}},
		},
	}
}
