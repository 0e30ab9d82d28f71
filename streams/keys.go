package streams

import (
	"strconv"
	"strings"
	"unicode"
)

const (
	groupFanout = "fanout" // group of the incoming streams
	groupPush   = "push"   // group of the channels
	// buriedConsumer owns the entries that wait for their next attempt.
	buriedConsumer = "~buried"
)

// keys builds key names. All keys of a partition share the hash tag {p}, so that
// a script may touch them together on Redis Cluster.
type keys struct{ prefix string }

func (k keys) part(p int, name string) string {
	return k.prefix + ":{" + strconv.Itoa(p) + "}:" + name
}

func (k keys) incoming(p int) string             { return k.part(p, "incoming") }
func (k keys) quarantine(p int) string           { return k.part(p, "quarantine") }
func (k keys) quarantineSize(p int) string       { return k.part(p, "quarantine:size") }
func (k keys) unrouted(p int) string             { return k.part(p, "unrouted") }
func (k keys) unroutedSize(p int) string         { return k.part(p, "unrouted:size") }
func (k keys) copying(p int) string              { return k.part(p, "copying") }
func (k keys) delayed(p int) string              { return k.part(p, "delayed") }
func (k keys) delayedBody(p int) string          { return k.part(p, "delayed:body") }
func (k keys) seen(p int, id string) string      { return k.part(p, "seen:"+id) }
func (k keys) channel(p int, sub string) string  { return k.part(p, "ch:"+sub) }
func (k keys) retry(p int, sub string) string    { return k.part(p, "retry:"+sub) }
func (k keys) failures(p int, sub string) string { return k.part(p, "failures:"+sub) }
func (k keys) dead(p int, sub string) string     { return k.part(p, "dead:"+sub) }
func (k keys) probe(p int) string                { return k.part(p, "probe") } // never there

// probeOf is a key in the slot of another one, and never there either.
func (k keys) probeOf(key string) string { return k.prefix + ":probe:{" + key + "}" }

// recovered marks what was written once; see WriteOnce.
func (k keys) recovered(p int, token string) string { return k.part(p, "recovered:"+token) }

func (k keys) subscriptions() string { return k.prefix + ":subscriptions" }
func (k keys) revision() string      { return k.prefix + ":subscriptions:rev" }

// written is the version of the documents, in their slot; see version.
func (k keys) written() string { return k.prefix + ":written:{" + k.subscriptions() + "}" }

// changes lies in the slot of the subscriptions, so that one step writes both.
func (k keys) changes() string { return k.prefix + ":changes:{" + k.subscriptions() + "}" }

func (k keys) control() string             { return k.prefix + ":control" }
func (k keys) dispatchers() string         { return k.prefix + ":dispatchers" }
func (k keys) dispatcher(id string) string { return k.prefix + ":dispatcher:" + id }
func (k keys) bench() string               { return k.prefix + ":bench" }

// clock lies in the slot of the heartbeats: one step compares both with the time.
func (k keys) clock() string { return k.prefix + ":clock:{" + k.dispatchers() + "}" }

// stats is the count hash of a second ('s'), minute ('m') or hour ('h') in unix time. It
// carries the hash tag so that a step counts what it does.
func (k keys) stats(p int, kind byte, at int64) string {
	return k.prefix + ":stats:{" + strconv.Itoa(p) + "}:" + string(kind) + strconv.FormatInt(at, 10)
}

func (k keys) statsTotal(p int) string { return k.prefix + ":stats:{" + strconv.Itoa(p) + "}:total" }

// latency is the hash of histograms of a minute in unix time. No step writes it, so it has no hash tag.
func (k keys) latency(minute int64) string {
	return k.prefix + ":stats:latency:m" + strconv.FormatInt(minute, 10)
}

// alerts is a key of what all dispatchers know of alerts together. It carries a hash tag of its
// own: the scripts on it touch no partition.
func (k keys) alerts(name string) string { return k.prefix + ":alerts:{alerts}:" + name }

// channels are the keys that every script on channels takes, three for each.
func (k keys) channels(p int, subs []string) []string {
	out := make([]string, 0, 3*len(subs)+2)
	for _, sub := range subs {
		out = append(out, k.channel(p, sub), k.retry(p, sub), k.failures(p, sub))
	}
	return out
}

// recoverList begins the lists that producers park messages in, inHand the hashes with the
// items taken from them. Neither begins like the other, and both match recoverPattern.
func (k keys) recoverList() string    { return k.prefix + ":recover:" }
func (k keys) inHand() string         { return k.prefix + ":recovering:" }
func (k keys) recoverPattern() string { return k.prefix + ":recover*" }

// hand is the hash of a list's items in hand, in the list's own slot of a cluster: it has the
// list's hash tag, else the whole list as its tag. A list with a closing brace and without a
// hash tag is in a slot that no other name can be put in; a cluster refuses its steps.
func (k keys) hand(list string) string {
	if hashTagged(list) {
		return k.inHand() + list
	}
	return k.inHand() + "{" + list + "}"
}

// listOf is the list of a hash of items in hand.
func (k keys) listOf(hand string) string {
	list := strings.TrimPrefix(hand, k.inHand())
	if strings.HasPrefix(list, "{") {
		list = strings.TrimSuffix(list[1:], "}")
	}
	return list
}

// hashTagged: Redis Cluster hashes what stands in the first braces, unless they are empty.
func hashTagged(key string) bool {
	_, rest, ok := strings.Cut(key, "{")
	return ok && strings.Index(rest, "}") > 0
}

// validPrefix: braces would move the hash tag, patterns match too much, and control
// characters hide in listings.
func validPrefix(prefix string) bool {
	return prefix != "" && !strings.ContainsFunc(prefix, func(r rune) bool {
		return unicode.IsControl(r) || unicode.IsSpace(r) || strings.ContainsRune(`{}*?[]\`, r)
	})
}
