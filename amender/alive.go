package amender

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/solate/medispatcher"
)

// note remembers who lives according to a list that was just read.
func (r *run) note(all []medispatcher.Dispatcher) {
	for _, d := range all {
		first, known := r.first[d.ID]
		changed := !known || !first.Equal(d.Heartbeat)
		found := slices.ContainsFunc(r.o.Dead, func(dead medispatcher.Dispatcher) bool {
			return dead.ID == d.ID && dead.Heartbeat.Equal(d.Heartbeat)
		})
		if d.Alive && !found || r.o.Listen && changed {
			r.alive[d.ID] = true
		}
	}
}

// defaultListen is how long to listen if the list is empty because Redis lost it. It is half the default dead-after
// limit: the real ones are not known then.
const defaultListen = 5 * time.Second

// listen waits long enough to hear every dispatcher that lives.
func (r *run) listen(ctx context.Context) error {
	r.listened = true
	d := r.listenFor
	if d == 0 {
		d = defaultListen
	}
	if !medispatcher.Sleep(ctx, d) {
		return ctx.Err()
	}
	return nil
}

// lives reports whether an owner that was just seen is a living dispatcher. An unknown owner may have started
// after the list was read. A dispatcher takes nothing before its first heartbeat, so a list that is read
// now has it.
func (r *run) lives(ctx context.Context, owner string) (bool, error) {
	if r.alive[owner] || r.dead[owner] {
		return r.alive[owner], nil
	}
	for {
		all, err := r.store.Dispatchers(ctx)
		if err == nil {
			r.note(all)
			if r.alive[owner] || r.listened || !r.o.Listen {
				break
			}
			err = r.listen(ctx)
		}
		if err != nil {
			return false, fmt.Errorf("%s cannot be declared dead: %w", owner, err)
		}
	}
	r.dead[owner] = !r.alive[owner]
	return r.alive[owner], nil
}
