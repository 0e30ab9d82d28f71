package streams

import (
	"cmp"
	"context"
	"fmt"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/entry"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// ReadAt reads one message whole, wherever it waits. It needs State, Subscription, Partition and Entry of the place, and returns
// the place with what else it found. The error is ErrNotFound if nothing is there.
func (s *Store) ReadAt(ctx context.Context, at medispatcher.Place) (medispatcher.Found, error) {
	found := medispatcher.Found{Place: at}
	id := rdb.GeneratedID(at.Partition, at.Entry)
	if at.Partition >= s.db.Partitions() {
		return found, fmt.Errorf("there is no partition %d: %w", at.Partition, medispatcher.ErrNotFound)
	}
	var err error
	switch at.State {
	case medispatcher.Dead:
		var l medispatcher.DeadLetter
		l, err = s.DeadLetter(ctx, at.Subscription, id)
		found.Message, found.Place.Failure = l.Message, l.Failure
	case medispatcher.Unrouted, medispatcher.Quarantined:
		place := medispatcher.PlaceUnrouted
		if at.State == medispatcher.Quarantined {
			place = medispatcher.PlaceQuarantine
		}
		var k medispatcher.Kept
		k, err = s.ReadKept(ctx, place, id)
		found.Message, found.Place.Kept, found.Place.Reason = k.Message, k.ID, k.Reason
		if body, _ := k.Body(); k.Fields != nil {
			found.Message.Body = body
		}
	case medispatcher.Delayed:
		var packed string
		packed, err = rdb.Text(s.db.With(ctx), "HGET", s.keys.DelayedBody(at.Partition), at.Entry).Result()
		if rdb.IsNil(err) {
			return found, notThere(at)
		}
		err = rdb.Failed("read a delayed message", err)
		found.Message = incomingMessage(at, rdb.FieldsOf(unpacked(packed)...))
	case medispatcher.Ready, medispatcher.Buried:
		if at.InLine() {
			err = s.readInLine(ctx, &found)
			return found, err
		}
		fallthrough
	case medispatcher.Incoming, medispatcher.Archived, medispatcher.Deleted:
		stream := s.keys.Channel(at.Partition, at.Subscription)
		if at.State == medispatcher.Incoming {
			stream = s.keys.Incoming(at.Partition)
		}
		if at.State == medispatcher.Archived {
			stream = s.keys.Archive(at.Partition)
		}
		var entries []rdb.Entry
		entries, err = rdb.Range(s.db.With(ctx), stream, at.Entry, at.Entry, 1).Result()
		if err == nil && len(entries) == 0 {
			return found, notThere(at)
		}
		err = rdb.Failed("read a message", err)
		switch {
		case err != nil:
		case at.State == medispatcher.Incoming:
			found.Message = incomingMessage(at, entries[0].Fields)
		default:
			f := entry.CopyOf(entries[0].Fields)
			found.Message = f.Message(at.Partition)
			if at.State != medispatcher.Archived {
				err = s.numberAttempt(ctx, &found.Place)
			}
		}
	}
	return found, err
}

// readInLine reads a copy that waits behind another of its key.
func (s *Store) readInLine(ctx context.Context, found *medispatcher.Found) error {
	at := &found.Place
	packed, err := rdb.Text(s.db.With(ctx), "HGET", s.keys.Wait(at.Partition, at.Subscription), at.Entry).Result()
	if rdb.IsNil(err) {
		return notThere(*at)
	}
	if err != nil {
		return rdb.Failed("read a message", err)
	}
	d := entry.Delivery(medispatcher.Channel{Partition: at.Partition, Subscription: at.Subscription}, "", 1, entry.Waiting(packed))
	found.Message = d.Message
	if d.Tried > 0 {
		at.Attempt, at.Failure = d.Tried+1, d.Failure
	}
	return nil
}

// numberAttempt fills in the number of the attempt under way, or of the next.
func (s *Store) numberAttempt(ctx context.Context, at *medispatcher.Place) error {
	pending, err := rdb.PendingOf(s.db.With(ctx), s.keys.Channel(at.Partition, at.Subscription), rdb.GroupPush, at.Entry, at.Entry, 1, "").Result()
	if err != nil && !rdb.IsNoGroup(err) {
		return rdb.Failed("read a message", err)
	}
	if len(pending) > 0 {
		at.State, at.Attempt = medispatcher.Buried, int(pending[0].Deliveries)
	}
	return nil
}

// incomingMessage is the message of an entry before its fan-out, as far as it can be read.
func incomingMessage(at medispatcher.Place, fields rdb.Fields) medispatcher.Message {
	f := entry.FieldsOf(fields)
	f.Src = cmp.Or(f.Src, f.Released, at.Entry)
	m := f.Message(at.Partition)
	if m.Time.IsZero() {
		m.Time = rdb.EntryTime(f.Src)
	}
	return m
}

func notThere(at medispatcher.Place) error {
	return fmt.Errorf("nothing is at %s: %w", at.Ref(), medispatcher.ErrNotFound)
}
