package streams

import (
	"context"
	"encoding/json"
	"maps"
	"sync"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Dispatchers are found with two commands, however many there are: the heartbeats, and the book of infos where that
// changed. The infos stand in keys of their own as well: that is where versions before the book write theirs and
// read those of others.

// bookPage is the field of the book that changes with every info, and never repeats a value.
const bookPage = "~page"

// defaultDeadAfter is the dead-after limit of a dispatcher whose info is lost.
const defaultDeadAfter = 10 * time.Second

// peers is what this process last read about all dispatchers.
type peers struct {
	mu    sync.Mutex
	asked time.Time
	page  string                             // of the book
	book  map[string]medispatcher.Dispatcher // by id
	beats []rdb.Score
	apart map[string]medispatcher.Dispatcher // those on the list that are not in the book
}

// Dispatchers lists every dispatcher that has a heartbeat, including dead ones.
func (s *Store) Dispatchers(ctx context.Context) ([]medispatcher.Dispatcher, error) {
	asked := time.Now()
	if err := s.db.Hear(ctx); err != nil {
		return nil, err
	}
	var beats []rdb.Score
	var book, apart map[string]medispatcher.Dispatcher
	// One that leaves meanwhile is on the list and has no info, like one of an earlier version. Another look shows that it is gone.
	for lost, look := true, 0; lost && look < listLooks; look++ {
		var err error
		if beats, book, err = s.readList(ctx); err != nil {
			return nil, err
		}
		if apart, lost, err = s.infosApart(ctx, beats, book); err != nil {
			return nil, err
		}
	}
	p := &s.peers
	p.mu.Lock()
	if !asked.Before(p.asked) {
		p.asked, p.beats, p.apart = asked, beats, apart
	}
	p.mu.Unlock()
	list := s.listed(beats, book, apart)
	s.layout.noteDispatchers(asked, list, s.db.Shown(s.db.Now()))
	s.noteOwn(list, asked)
	s.active.noteDispatchers(asked, list)
	s.lines.noteDispatchers(asked, list)
	return list, nil
}

// listLooks is how often the list is read while there are dispatchers on it without an info.
const listLooks = 3

// readList reads the heartbeats and the book.
func (s *Store) readList(ctx context.Context) (beats []rdb.Score, book map[string]medispatcher.Dispatcher, err error) {
	pipe := s.db.Pipe(ctx)
	scores := rdb.Scores(pipe, "ZRANGE", s.keys.Dispatchers(), 0, -1, "WITHSCORES")
	page := rdb.Text(pipe, "HGET", s.keys.Book(), bookPage)
	_ = pipe.Run() // each command has its own error
	if err := scores.Err(); err != nil {
		return nil, nil, rdb.Failed("list dispatchers", err)
	}
	book, err = s.readBook(ctx, page)
	return scores.Val(), book, err
}

// LastDispatchers is what Dispatchers returned last, and how long ago it was asked. Who is alive is as of now. Without a
// list it is nil.
func (s *Store) LastDispatchers() (list []medispatcher.Dispatcher, age time.Duration) {
	p := &s.peers
	p.mu.Lock()
	beats, book, apart, asked := p.beats, p.book, p.apart, p.asked
	p.mu.Unlock()
	if asked.IsZero() {
		return nil, 0
	}
	return s.listed(beats, book, apart), time.Since(asked)
}

func (s *Store) listed(beats []rdb.Score, book, apart map[string]medispatcher.Dispatcher) []medispatcher.Dispatcher {
	now := s.db.Now()
	list := make([]medispatcher.Dispatcher, 0, len(beats))
	for _, beat := range beats {
		d, known := book[beat.Member]
		if !known {
			d = apart[beat.Member]
		}
		at := time.UnixMilli(int64(beat.Score))
		d.ID, d.Heartbeat, d.Alive = beat.Member, s.db.Shown(at), now.Sub(at) < d.DeadAfter
		list = append(list, d)
	}
	return list
}

// readBook returns the infos in the book. It reads them where its page is not the one that was read last.
func (s *Store) readBook(ctx context.Context, page *rdb.Reply[string]) (map[string]medispatcher.Dispatcher, error) {
	p := &s.peers
	p.mu.Lock()
	book, known := p.book, p.page
	p.mu.Unlock()
	switch now, err := page.Result(); {
	case rdb.IsNil(err) || rdb.IsWrongType(err):
		return nil, nil // all of its dispatchers are of an earlier version, or will write it again within a minute
	case err != nil:
		return nil, rdb.Failed("read the infos of dispatchers", err)
	case now == known:
		return book, nil
	}
	texts, err := rdb.Map(s.db.With(ctx), "HGETALL", s.keys.Book()).Result()
	if err != nil {
		return nil, rdb.Failed("read the infos of dispatchers", err)
	}
	read := maps.Collect(func(yield func(string, medispatcher.Dispatcher) bool) {
		for id, text := range texts {
			if id != bookPage && !yield(id, dispatcherOf(text)) {
				return
			}
		}
	})
	p.mu.Lock()
	p.page, p.book = texts[bookPage], read
	p.mu.Unlock()
	return read, nil
}

// infosApart reads the infos of dispatchers that are not in the book. lost: there is one that has none.
func (s *Store) infosApart(ctx context.Context, beats []rdb.Score, book map[string]medispatcher.Dispatcher) (apart map[string]medispatcher.Dispatcher, lost bool, err error) {
	infos := map[string]*rdb.Reply[string]{}
	pipe := s.db.Pipe(ctx)
	for _, beat := range beats {
		if _, known := book[beat.Member]; !known {
			infos[beat.Member] = rdb.Text(pipe, "GET", s.keys.Dispatcher(beat.Member))
		}
	}
	if len(infos) == 0 {
		return nil, false, nil
	}
	_ = pipe.Run() // each command has its own error
	apart = make(map[string]medispatcher.Dispatcher, len(infos))
	for id, info := range infos {
		if err := info.Err(); err != nil && !rdb.IsNil(err) {
			return nil, false, rdb.Failed("read a dispatcher's info", err) // its dead-after limit is in there, and no other limit will do
		}
		lost = lost || info.Val() == ""
		apart[id] = dispatcherOf(info.Val())
	}
	return apart, lost, nil
}

// dispatcherOf reads an info.
func dispatcherOf(info string) (d medispatcher.Dispatcher) {
	if json.Unmarshal([]byte(info), &d) != nil {
		return medispatcher.Dispatcher{DeadAfter: defaultDeadAfter}
	}
	return d
}
