package medispatcher

import "strings"

// maxNear bounds how many mistyped topics a router remembers.
const maxNear = 1000

// Nearest is the topic that was most likely meant by a topic that no subscription wants, "" when none is
// close. It is the topic of a subscription, or one that its pattern covers.
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

// covered is the topic that a pattern covers and that differs least from the given one; "" when that
// one has too few levels.
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
