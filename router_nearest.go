package medispatcher

import (
	"slices"
	"strings"
)

// Nearest is the topic that was most likely meant by a topic that no subscription wants, "" when none is
// close. It is the topic of a subscription, or one that its pattern covers.
func (r *Router) Nearest(topic string) string {
	n := nearest{topic: topic, given: strings.Split(topic, "."), most: max(1, min(3, len(topic)/4))}
	if r.all != nil {
		n.look(r.all, 0, "", distances(topic, nil, ""))
	}
	return n.near
}

// nearest looks for a topic close to a given one. Where a pattern leaves levels open, it takes those of the given one.
type nearest struct {
	topic string
	given []string // its levels
	near  string   // the closest so far, "": none
	most  int      // the largest distance that is close enough
}

// look tries the patterns of a level. begin is what they begin with, as far as it matters here, and row how far that is from
// each beginning of the given topic.
func (n *nearest) look(l *level, depth int, begin string, row []int) {
	left := strings.Join(n.given[min(depth, len(n.given)):], ".")
	if len(l.rest.IDs) > 0 && left != "" {
		n.take(begin+left, distances(n.topic, row, left))
	}
	for name, next := range l.below.after("") {
		if name == "*" {
			if left == "" {
				continue
			}
			name = n.given[depth]
		}
		to := distances(n.topic, row, name)
		if slices.Min(to) > n.most {
			continue // what follows cannot bring it closer
		}
		if len(next.ids.IDs) > 0 {
			n.take(begin+name, to)
		}
		if len(next.rest.IDs)+next.below.n > 0 {
			n.look(next, depth+1, begin+name+".", distances(n.topic, to, "."))
		}
	}
}

// take notes a topic if it is closer than those before or, as close as them, comes first.
func (n *nearest) take(topic string, row []int) {
	d := row[len(n.topic)]
	if topic != n.topic && (d < n.most || d == n.most && (n.near == "" || topic < n.near)) {
		n.near, n.most = topic, d
	}
}
