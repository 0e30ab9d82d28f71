package streams

import "slices"

// stepBytes bounds the bodies in a script that moves messages one by one: after this many bytes it
// begins no further message. One MiB takes about three milliseconds.
const stepBytes = 1 << 20

// A step of the fan-out is bounded by the work of its copies, not by the number of entries. It
// holds Redis for about stepWork. The numbers are µs on a slow machine.
const (
	stepWork = 5000
	// Each step reads an entry once. That costs Lua more per byte than a copy costs Redis.
	entryWork, entryBytesPerWork = 5, 512
	copyWork, copyBytesPerWork   = 5, 2048
)

// inHand is an entry that is not finished.
type inHand struct {
	Entry
	routed  bool    // routing is known
	routing Routing // of the whole entry, whatever is already copied
	early   bool    // it waits for older entries; see RoutedEarly
	after   string  // the last subscription that has its copy
	size    int     // of its fields, in bytes
}

func newInHand(e Entry) inHand {
	return inHand{Entry: e, size: e.fields.Size()}
}

// rest is the routing of what is not copied yet.
func (h *inHand) rest() Routing {
	r := h.routing
	r.After = h.after
	if h.after != "" {
		at, found := slices.BinarySearch(r.Subs, h.after)
		if found {
			at++
		}
		r.Subs = r.Subs[at:]
	}
	return r
}

// nextStep is the part of hand that fits into one step: whole entries in their order, and a part of the
// next one. It is never empty. No entry is routed before its turn: each may go to all subscriptions.
// With archives each entry that is not begun is written once more.
func nextStep(hand []inHand, archives bool, route func(Entry) Routing) []Routing {
	var step []Routing
	work := 0
	for i := range hand {
		h := &hand[i]
		if !h.routed {
			h.routing, h.routed = route(h.Entry), true
		}
		r := h.rest()
		work += entryWork + h.size/entryBytesPerWork
		each := copyWork + h.size/copyBytesPerWork
		if archives && h.after == "" {
			work += each
		}
		fit := (stepWork - work) / each
		if fit < 1 && i > 0 {
			break
		}
		if fit = max(1, fit); fit < len(r.Subs) {
			r.Subs, r.More = r.Subs[:fit], true
			return append(step, r)
		}
		step = append(step, r)
		work += max(1, len(r.Subs)) * each
	}
	return step
}

// after returns the entries that are still in hand after a step. Those that failed are not: they
// stay pending, and are read again.
func after(hand []inHand, step []Routing, routed []Routed) []inHand {
	kept := hand[:0]
	for i, r := range routed {
		hand[i].early = r.Result == RoutedEarly
		switch r.Result {
		case RoutedMore:
			hand[i].after = step[i].Subs[len(step[i].Subs)-1]
		case RoutedBehind:
			hand[i].after = r.At
		case RoutedWait, RoutedEarly, RoutedOutdated:
		default:
			continue
		}
		kept = append(kept, hand[i])
	}
	return append(kept, hand[len(routed):]...)
}

// reroute has it decided again where the entries in hand belong. With archives, what is begun does not go to subscriptions
// that are new: the archive says that they did not get it.
func reroute(hand []inHand, archives bool, route func(Entry) Routing) {
	for i := range hand {
		h := &hand[i]
		had := h.routing.Subs
		h.routed, h.routing = false, Routing{}
		if archives && h.after != "" && had != nil {
			h.routing, h.routed = route(h.Entry), true
			h.routing.Subs = slices.DeleteFunc(slices.Clone(h.routing.Subs), func(sub string) bool {
				_, before := slices.BinarySearch(had, sub)
				return !before
			})
		}
	}
}
