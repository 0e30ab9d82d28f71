package medispatcher

import "strings"

// Nearest is the candidate that s is most likely a mistyped or shortened form of, "" when
// none is close.
func Nearest(s string, candidates []string) string {
	best, bestAt := "", max(2, len(s)/4)+1
	for _, c := range candidates {
		if len(s) > 2 && strings.HasPrefix(c, s) {
			return c
		}
	}
	for _, c := range candidates {
		if d := distance(s, c); d < bestAt {
			best, bestAt = c, d
		}
	}
	return best
}

// distance is the Levenshtein distance: the insertions, removals and replacements of
// one byte that make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// maxNear bounds what a router remembers of mistyped topics.
const maxNear = 1000

// Nearest is the topic that one which nobody wants most likely stands for, "" when none is close: a
// topic of a subscription, or one that its pattern covers.
func (r *Router) Nearest(topic string) string {
	r.mu.RLock()
	near, known := r.near[topic]
	r.mu.RUnlock()
	if known {
		return near
	}
	bestAt := max(1, min(3, len(topic)/4)) + 1
	consider := func(pattern string) {
		c := covered(pattern, topic)
		if c == "" || c == topic || len(c)-len(topic) >= bestAt+1 || len(topic)-len(c) >= bestAt+1 {
			return
		}
		if d := distance(topic, c); d < bestAt || d == bestAt && near != "" && c < near {
			near, bestAt = c, d
		}
	}
	for exact := range r.exact {
		consider(exact)
	}
	for _, p := range r.patterns {
		consider(p.pattern)
	}
	r.mu.Lock()
	if len(r.near) >= maxNear {
		clear(r.near)
	}
	r.near[topic] = near
	r.mu.Unlock()
	return near
}

// covered is a topic that a pattern covers, as much like the given one as it can be; "" when it
// has too few levels for that.
func covered(pattern, topic string) string {
	if !strings.ContainsAny(pattern, "*>") {
		return pattern
	}
	levels, given := strings.Split(pattern, "."), strings.Split(topic, ".")
	for i, level := range levels {
		switch {
		case level != "*" && level != ">":
		case i >= len(given):
			return ""
		case level == ">":
			levels[i] = strings.Join(given[i:], ".")
		default:
			levels[i] = given[i]
		}
	}
	return strings.Join(levels, ".")
}
