package streams

import (
	"context"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// A search reads dead letters whole and compares them here: a body that passes through Lua costs Redis some twenty times
// as much. Each read is bounded, because Redis serves all of it in one go.
const (
	deadFirst   = 10      // letters in the first read of a partition, whose sizes are unknown
	deadRead    = 1000    // letters in one read, at most
	deadReadFor = 1 << 20 // bytes in one read, estimated from the letters before
	deadPage    = 4 << 20 // bytes of bodies in one page; the last letter may exceed them
)

// SearchDead lists up to limit dead letters of a subscription that match, fewer where they are large, in the order of time.
// It asks more after each letter that it looked at, with their number, and ends where more says no.
func (s *Store) SearchDead(ctx context.Context, sub string, q medispatcher.Search, limit int, more func(looked int64) bool) (page medispatcher.DeadPage, err error) {
	size := 0
	page.Searched, err = s.eachDead(ctx, sub, q, limit, more, func(l *medispatcher.DeadLetter) (bool, error) {
		if len(page.Letters) == limit || size >= deadPage {
			return false, nil
		}
		page.Letters = append(page.Letters, *l)
		size += len(l.Message.Body)
		return true, nil
	})
	return page, err
}

// CountDead counts the dead letters of a subscription that match, the oldest first. Without q.Until it counts those that
// exist when it begins. A later count continues with the answer's Next and Until.
func (s *Store) CountDead(ctx context.Context, sub string, q medispatcher.Search, more func(looked int64) bool) (n medispatcher.MatchCount, err error) {
	if n.Until = q.Until; n.Until == "" {
		if n.Until, err = s.newestID(ctx, "dead letters of "+sub, s.deadKey(sub)); err != nil || n.Until == "" {
			return n, err
		}
	}
	q.Newest, q.Until = false, n.Until
	n.Searched, err = s.eachDead(ctx, sub, q, 0, more, func(*medispatcher.DeadLetter) (bool, error) {
		n.Matching++
		return true, nil
	})
	return n, err
}

// ReplayMatching is Replay of the dead letters that match, the oldest first. A later call continues with Next.
func (s *Store) ReplayMatching(ctx context.Context, sub string, q medispatcher.Search, more func(looked int64) bool) (medispatcher.MatchDone, error) {
	return s.changeMatching(ctx, sub, q, more, func(ids []string) (int, error) { return s.Replay(ctx, sub, ids) })
}

// PurgeMatching is PurgeDead of the dead letters that match, the oldest first. A later call continues with Next.
func (s *Store) PurgeMatching(ctx context.Context, sub string, q medispatcher.Search, more func(looked int64) bool) (medispatcher.MatchDone, error) {
	return s.changeMatching(ctx, sub, q, more, func(ids []string) (int, error) { return s.PurgeDead(ctx, sub, ids) })
}

func (s *Store) changeMatching(ctx context.Context, sub string, q medispatcher.Search, more func(looked int64) bool, change func(ids []string) (int, error)) (done medispatcher.MatchDone, err error) {
	q.Newest = false
	var batch []string
	flush := func() error {
		n, err := change(batch)
		done.Done += int64(n)
		batch = batch[:0]
		return err
	}
	done.Searched, err = s.eachDead(ctx, sub, q, 0, more, func(l *medispatcher.DeadLetter) (bool, error) {
		if batch = append(batch, l.ID); len(batch) < deadBatch {
			return true, nil
		}
		return true, flush()
	})
	if err == nil && len(batch) > 0 {
		err = flush()
	}
	return done, err
}

// eachDead calls do for each dead letter that matches, in the order of time, until do does not take one, or more says no.
// Where all match, it reads about as many as wanted at once; 0 is any number.
func (s *Store) eachDead(ctx context.Context, sub string, q medispatcher.Search, wanted int, more func(looked int64) bool, do func(*medispatcher.DeadLetter) (bool, error)) (done medispatcher.Searched, err error) {
	w, err := walkOf(q, s.deadID)
	if err != nil {
		return done, err
	}
	most := deadRead
	if q.Match.All() && wanted > 0 {
		most = wanted + 1 // one more says whether there is a next page
	}
	size, bytes := 0, deadReadFor/s.db.Partitions()
	found := finder{more: more}
	err = eachMerged(s.db.Partitions(), w, func(e *rdb.Entry) string { return e.ID },
		func(p int, how, from, to string) ([]rdb.Entry, error) {
			n := min(deadFirst, most)
			if size > 0 {
				n = min(max(1, bytes/size), most)
			}
			var list []rdb.Entry
			err := orOne(n, func(n int) (err error) {
				list, err = rdb.Entries(s.db.With(ctx), how, s.keys.Dead(p, sub), from, to, "COUNT", n).Result()
				return err
			})
			if err != nil {
				return nil, rdb.Failed("list dead letters of "+sub, err)
			}
			read := 0
			for _, e := range list {
				read += e.Fields.Bytes()
			}
			if len(list) > 0 {
				size = max(1, read/len(list))
			}
			return list, nil
		},
		func(p int, e *rdb.Entry) (bool, error) {
			l := deadLetter(medispatcher.Channel{Partition: p, Subscription: sub}, *e)
			return found.look(l.ID, q.Match.Letter(&l), func() (bool, error) { return do(&l) })
		})
	return found.searched(), err
}

// walkOf says where a search of messages goes. split reads their ids.
func walkOf(q medispatcher.Search, split func(id string) (p int, entry string, err error)) (w walk, err error) {
	w.newest = q.Newest
	if q.After != "" {
		if w.after.p, w.after.entry, err = split(q.After); err != nil {
			return w, err
		}
	}
	if q.Until != "" {
		_, w.until, err = split(q.Until)
	}
	return w, err
}

// finder notes how far a search came.
type finder struct {
	done    medispatcher.Searched
	more    func(looked int64) bool
	stopped bool
}

// look is for one message. take gets it if it matches, and says no where it has no room: the next search then begins with it.
func (f *finder) look(id string, matches bool, take func() (bool, error)) (more bool, err error) {
	if matches {
		if room, err := take(); err != nil || !room {
			f.stopped = true
			return false, err
		}
	}
	f.done.Looked++
	f.done.Next = id
	f.stopped = !f.more(f.done.Looked)
	return !f.stopped, nil
}

// searched is how far it came in the end.
func (f *finder) searched() medispatcher.Searched {
	if !f.stopped {
		f.done.Next = ""
	}
	return f.done
}

// newestID is the id of the newest entry of a stream over all partitions, as operators see it; "" if there is none.
func (s *Store) newestID(ctx context.Context, what string, key func(p int) string) (id string, err error) {
	lasts, _, err := s.ends(ctx, what, key)
	newest := ""
	for p, last := range lasts {
		if last != "" && (newest == "" || compareIDs(last, newest) > 0) {
			newest, id = last, rdb.GeneratedID(p, last)
		}
	}
	return id, err
}
