package medispatcher

import (
	"iter"
	"slices"
)

// chunkMost is the most keys of a chunk. A change copies one chunk, and the list of chunks.
const chunkMost = 64

// sorted is a map in the order of its keys that never changes: with makes another, which shares what is the same. The
// zero value is empty. The zero value of V stands for no entry.
type sorted[V comparable] struct {
	chunks []*chunk[V]
	n      int
}

type chunk[V comparable] struct{ pairs []pair[V] }

type pair[V comparable] struct {
	key   string
	value V
}

func (c *chunk[V]) last() string { return c.pairs[len(c.pairs)-1].key }

// chunkOf is the first chunk that may hold a key, or len(chunks).
func (s *sorted[V]) chunkOf(key string) int {
	low, high := 0, len(s.chunks)
	for low < high {
		if middle := (low + high) / 2; s.chunks[middle].last() < key {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// find is the place of a key, or of the first one behind it. A function that compares would take twice the time.
func find[V comparable](pairs []pair[V], key string) (at int, found bool) {
	low, high := 0, len(pairs)
	for low < high {
		if middle := (low + high) / 2; pairs[middle].key < key {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, low < len(pairs) && pairs[low].key == key
}

func (s *sorted[V]) get(key string) (v V) {
	i := s.chunkOf(key)
	if i == len(s.chunks) {
		return v
	}
	if at, found := find(s.chunks[i].pairs, key); found {
		return s.chunks[i].pairs[at].value
	}
	return v
}

// with is s after some changes, which are sorted by key, each key once. A zero value removes.
func (s *sorted[V]) with(changes []pair[V]) sorted[V] {
	next := sorted[V]{chunks: make([]*chunk[V], 0, len(s.chunks)+1+2*len(changes)/chunkMost), n: s.n}
	rest := *s
	for len(changes) > 0 && len(rest.chunks) > 0 {
		at := min(rest.chunkOf(changes[0].key), len(rest.chunks)-1)
		next.share(rest.chunks[:at])
		c := rest.chunks[at]
		rest.chunks = rest.chunks[at+1:]
		here := len(changes) // those of this chunk; the last one has those behind it, too
		if len(rest.chunks) > 0 {
			var found bool
			if here, found = find(changes, c.last()); found {
				here++
			}
		}
		next.replace(c.pairs, changes[:here])
		changes = changes[here:]
	}
	if len(changes) > 0 {
		next.replace(nil, changes)
	}
	next.share(rest.chunks)
	return next
}

// share appends chunks of another map, which it does not look at: there may be many.
func (s *sorted[V]) share(chunks []*chunk[V]) {
	if len(chunks) > 0 {
		s.join(chunks[0])
		s.chunks = append(s.chunks, chunks[1:]...)
	}
}

// replace appends what changes make of some pairs, in chunks that are not full.
func (s *sorted[V]) replace(pairs, changes []pair[V]) {
	merged := merge(pairs, changes)
	s.n += len(merged) - len(pairs)
	parts := 1
	if len(merged) > chunkMost {
		parts = 1 + len(merged)*4/(chunkMost*3)
	}
	for part := range slices.Chunk(merged, max(1, (len(merged)+parts-1)/parts)) {
		s.join(&chunk[V]{slices.Clone(part)})
	}
}

// merge is pairs after some changes.
func merge[V comparable](pairs, changes []pair[V]) []pair[V] {
	var none V
	merged := make([]pair[V], 0, len(pairs)+len(changes))
	for _, c := range changes {
		at, found := find(pairs, c.key)
		merged = append(merged, pairs[:at]...)
		if found {
			at++
		}
		pairs = pairs[at:]
		if c.value != none {
			merged = append(merged, c)
		}
	}
	return append(merged, pairs...)
}

// join appends a chunk. It makes one of two small ones, so that the number of chunks follows the number of keys.
func (s *sorted[V]) join(c *chunk[V]) {
	if last := len(s.chunks) - 1; last >= 0 && len(s.chunks[last].pairs)+len(c.pairs) <= chunkMost/2 {
		s.chunks[last] = &chunk[V]{slices.Concat(s.chunks[last].pairs, c.pairs)}
		return
	}
	s.chunks = append(s.chunks, c)
}

// after are the entries whose key is larger than the given one.
func (s *sorted[V]) after(key string) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for i := s.chunkOf(key); i < len(s.chunks); i++ {
			for _, p := range s.chunks[i].pairs {
				if p.key > key && !yield(p.key, p.value) {
					return
				}
			}
		}
	}
}

// since are the keys whose value is another one than in before, with both. It looks only at chunks that the two do not share.
func (s *sorted[V]) since(before *sorted[V]) iter.Seq2[string, [2]V] {
	return func(yield func(string, [2]V) bool) {
		was, now := cursor[V]{chunks: before.chunks}, cursor[V]{chunks: s.chunks}
		for {
			for was.at == 0 && now.at == 0 && len(was.chunks) > 0 && len(now.chunks) > 0 && was.chunks[0] == now.chunks[0] {
				was.chunks, now.chunks = was.chunks[1:], now.chunks[1:]
			}
			x, y := was.pair(), now.pair()
			var key string
			var values [2]V
			switch {
			case x == nil && y == nil:
				return
			case y == nil || x != nil && x.key < y.key:
				key, values[0] = x.key, x.value
				was.next()
			case x == nil || y.key < x.key:
				key, values[1] = y.key, y.value
				now.next()
			default:
				key, values = x.key, [2]V{x.value, y.value}
				was.next()
				now.next()
			}
			if values[0] != values[1] && !yield(key, values) {
				return
			}
		}
	}
}

// cursor is a place in a sorted map.
type cursor[V comparable] struct {
	chunks []*chunk[V]
	at     int // in the first of them
}

func (c *cursor[V]) pair() *pair[V] {
	if len(c.chunks) == 0 {
		return nil
	}
	return &c.chunks[0].pairs[c.at]
}

func (c *cursor[V]) next() {
	if c.at++; c.at == len(c.chunks[0].pairs) {
		c.chunks, c.at = c.chunks[1:], 0
	}
}
