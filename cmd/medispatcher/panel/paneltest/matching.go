package paneltest

import (
	"context"
	"slices"

	"github.com/solate/medispatcher"
)

// searchable is what the fake searches: the messages of a place, the oldest first.
type searchable[T any] struct {
	list    []T
	id      func(*T) string
	matches func(*T) bool
}

// each is how the real store searches: in one go, without a limit of time.
func (s searchable[T]) each(q medispatcher.Search, limit int, more func(int64) bool) (found []T, done medispatcher.Searched) {
	list := slices.Clone(s.list)
	if at := slices.IndexFunc(list, func(v T) bool { return s.id(&v) == q.Until }); at >= 0 {
		list = list[:at+1]
	}
	if q.Newest {
		slices.Reverse(list)
	}
	if at := slices.IndexFunc(list, func(v T) bool { return s.id(&v) == q.After }); at >= 0 {
		list = list[at+1:]
	}
	for i := range list {
		if s.matches(&list[i]) {
			if limit > 0 && len(found) == limit {
				return found, done
			}
			found = append(found, list[i])
		}
		done.Looked++
		done.Next = s.id(&list[i])
		if !more(done.Looked) {
			return found, done
		}
	}
	done.Next = ""
	return found, done
}

func (s searchable[T]) count(q medispatcher.Search, more func(int64) bool) (n medispatcher.MatchCount) {
	if n.Until = q.Until; n.Until == "" && len(s.list) > 0 {
		n.Until = s.id(&s.list[len(s.list)-1])
	}
	found, done := s.each(q, 0, more)
	n.Matching, n.Searched = int64(len(found)), done
	return n
}

func (f *Fake) dead(q medispatcher.Search) searchable[medispatcher.DeadLetter] {
	return searchable[medispatcher.DeadLetter]{f.Letters, func(l *medispatcher.DeadLetter) string { return l.ID }, q.Match.Letter}
}

func (f *Fake) keptOf(place medispatcher.KeptPlace, q medispatcher.Search) searchable[medispatcher.Kept] {
	return searchable[medispatcher.Kept]{f.Kept[place], func(k *medispatcher.Kept) string { return k.ID }, q.Match.Kept}
}

func (f *Fake) SearchDead(_ context.Context, _ string, q medispatcher.Search, limit int, more func(int64) bool) (page medispatcher.DeadPage, err error) {
	if q.After != "" {
		if _, err := f.index(q.After); err != nil {
			return page, err
		}
	}
	page.Letters, page.Searched = f.dead(q).each(q, limit, more)
	return page, f.fails("letters")
}

func (f *Fake) CountDead(_ context.Context, _ string, q medispatcher.Search, more func(int64) bool) (medispatcher.MatchCount, error) {
	return f.dead(q).count(q, more), f.fails("letters")
}

func (f *Fake) ReplayMatching(_ context.Context, _ string, q medispatcher.Search, more func(int64) bool) (medispatcher.MatchDone, error) {
	return f.takeMatching("replay", q, more)
}

func (f *Fake) PurgeMatching(_ context.Context, _ string, q medispatcher.Search, more func(int64) bool) (medispatcher.MatchDone, error) {
	return f.takeMatching("purgedead", q, more)
}

func (f *Fake) takeMatching(step string, q medispatcher.Search, more func(int64) bool) (done medispatcher.MatchDone, err error) {
	found, searched := f.dead(q).each(q, 0, more)
	var ids []string
	for i := range found {
		ids = append(ids, found[i].ID)
	}
	n, err := f.take(step, ids)
	return medispatcher.MatchDone{Done: int64(n), Searched: searched}, err
}

func (f *Fake) SearchKept(_ context.Context, place medispatcher.KeptPlace, q medispatcher.Search, limit int, more func(int64) bool) (page medispatcher.KeptPage, err error) {
	if q.After != "" && !slices.ContainsFunc(f.Kept[place], func(k medispatcher.Kept) bool { return k.ID == q.After }) {
		return page, medispatcher.FieldError{Field: "id", Problem: "no id"}
	}
	page.Messages, page.Searched = f.keptOf(place, q).each(q, limit, more)
	for i := range page.Messages {
		page.Messages[i].Message.Body, page.Messages[i].Fields = nil, nil
	}
	return page, f.fails("kept")
}

func (f *Fake) CountKept(_ context.Context, place medispatcher.KeptPlace, q medispatcher.Search, more func(int64) bool) (medispatcher.MatchCount, error) {
	return f.keptOf(place, q).count(q, more), f.fails("kept")
}

func (f *Fake) matchingKept(place medispatcher.KeptPlace, q medispatcher.Search, more func(int64) bool) (ids []string, done medispatcher.Searched) {
	found, done := f.keptOf(place, q).each(q, 0, more)
	for i := range found {
		ids = append(ids, found[i].ID)
	}
	return ids, done
}

func (f *Fake) ReplayMatchingKept(ctx context.Context, place medispatcher.KeptPlace, q medispatcher.Search, more func(int64) bool) (medispatcher.KeptDone, error) {
	ids, searched := f.matchingKept(place, q, more)
	done, err := f.ReplayKept(ctx, place, ids)
	done.Next = searched.Next
	return done, err
}

func (f *Fake) PurgeMatchingKept(ctx context.Context, place medispatcher.KeptPlace, q medispatcher.Search, more func(int64) bool) (medispatcher.MatchDone, error) {
	ids, searched := f.matchingKept(place, q, more)
	n, err := f.PurgeKept(ctx, place, ids)
	return medispatcher.MatchDone{Done: int64(n), Searched: searched}, err
}
