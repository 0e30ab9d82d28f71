package streams

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/solate/medispatcher"
)

// newestLayout is the newest layout of copies that this version reads: entry.Whole, a field for the whole
// message. The first one had a field for each value. Versions before this one read only that, and do not
// say which they read.
const newestLayout = 2

const (
	// calm is how long nobody may have heard of a dispatcher that does not read newestLayout. One that
	// crashed may start again.
	calm = time.Minute
	// lookValid is how long one look at the dispatchers counts.
	lookValid = 10 * time.Second
)

// copyLayout decides in which layout the fan-out writes copies: in newestLayout as long as every dispatcher
// that lives reads it, and in the first one as long as nobody has looked.
type copyLayout struct {
	fixed int // the layout, if it is not 0
	calm  time.Duration

	mu     sync.Mutex
	looked time.Time
	old    time.Time                 // when a dispatcher that does not read newestLayout was last heard of
	late   []string                  // see TakeLate
	newest atomic.Pointer[time.Time] // until when newestLayout may be written; nil: it may not
}

// noteDispatchers takes the list of dispatchers as of some time. now is that time by the clock of the heartbeats.
func (l *copyLayout) noteDispatchers(asked time.Time, list []medispatcher.Dispatcher, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if asked.Before(l.looked) {
		return // a later look is over already
	}
	l.looked = asked
	written := l.fixed == 0 && l.newest.Load() != nil
	for i := range list {
		if d := &list[i]; d.Copies < newestLayout {
			heard := asked
			if !d.Alive {
				heard = asked.Add(-now.Sub(d.Heartbeat))
			} else if written && ReadsOnlyFirst(d) {
				l.late = append(l.late, d.ID)
			}
			if heard.After(l.old) {
				l.old = heard
			}
		}
	}
	if l.old.IsZero() || asked.Sub(l.old) > l.calm {
		until := asked.Add(lookValid)
		l.newest.Store(&until)
	} else {
		l.newest.Store(nil)
	}
}

// whole reports whether copies are to be written in newestLayout.
func (l *copyLayout) whole() bool {
	if l.fixed != 0 {
		return l.fixed == newestLayout
	}
	until := l.newest.Load()
	return until != nil && time.Now().Before(*until)
}

// ReadsOnlyFirst reports whether a dispatcher is known to read only the first layout. Without its info nobody
// knows.
func ReadsOnlyFirst(d *medispatcher.Dispatcher) bool {
	return d.Copies < newestLayout && d.Version != ""
}

// TakeLate returns dispatchers that read only the first layout and joined while this one wrote the newest, each
// once. Copies that were written before are empty messages to them.
func (s *Store) TakeLate() []string {
	l := &s.layout
	l.mu.Lock()
	defer l.mu.Unlock()
	late := l.late
	l.late = nil
	return late
}

// timeLua has time_of(head), which returns the time in a head; the empty string if there is none.
const timeLua = `
local function time_of(head)
  return string.match(head, '\ntime (%d+)') or string.match(head, '\nsrc (%d+)') or ''
end
`

// namedLua has named(fields), which returns the fields of a copy in the first layout, without what was tried behind another
// of its key. It leaves alone what is not entry.Whole.
const namedLua = timeLua + `
local function named(fields)
  local whole = #fields == 2 and fields[1] == 'm' and fields[2]
  local stop = whole and string.find(whole, '\n\n', 1, true)
  if not stop then
    for i = #fields - 1, 1, -2 do
      if fields[i] == '~tried' then table.remove(fields, i + 1) table.remove(fields, i) end
    end
    return fields
  end
  local head = string.sub(whole, 1, stop)
  local out = {'time', time_of(head)}
  for name, value in string.gmatch(head, '([^ \n]+) ([^\n]*)\n') do
    if name == 'src' or name == 'replay' then name = '~' .. name end
    if name ~= 'body' and name ~= 'time' and name ~= 'tried' then out[#out + 1], out[#out + 2] = name, value end
  end
  out[#out + 1], out[#out + 2] = 'body', string.sub(whole, stop + 2)
  return out
end
`
