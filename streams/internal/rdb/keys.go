package rdb

import (
	"strconv"
	"strings"
	"unicode"

	"github.com/solate/medispatcher"
)

const (
	// GroupFanout is the group of the incoming streams.
	GroupFanout = "fanout"
	// GroupPush is the group of the channels.
	GroupPush = "push"
	// Buried owns the entries that wait for their next attempt.
	Buried = medispatcher.OwnerBuried
)

// Keys builds key names. All keys of a partition share the hash tag {p}, so that
// a script may touch them together on Redis Cluster.
type Keys struct{ Prefix string }

// Part is a key of a partition.
func (k Keys) Part(p int, name string) string {
	return k.Prefix + ":{" + strconv.Itoa(p) + "}:" + name
}

// Incoming is the stream of messages before their fan-out.
func (k Keys) Incoming(p int) string { return k.Part(p, "incoming") }

// Quarantine is the stream of entries that could not be decoded.
func (k Keys) Quarantine(p int) string { return k.Part(p, "quarantine") }

// QuarantineSize is the hash of how much that holds.
func (k Keys) QuarantineSize(p int) string { return k.Part(p, "quarantine:size") }

// Unrouted is the stream of messages that nobody wanted.
func (k Keys) Unrouted(p int) string { return k.Part(p, "unrouted") }

// UnroutedSize is the hash of how much that holds.
func (k Keys) UnroutedSize(p int) string { return k.Part(p, "unrouted:size") }

// Copying is the hash of how far the fan-out of large entries is.
func (k Keys) Copying(p int) string { return k.Part(p, "copying") }

// Delayed is the sorted set of delayed messages, by due time.
func (k Keys) Delayed(p int) string { return k.Part(p, "delayed") }

// DelayedBody is the hash of their fields.
func (k Keys) DelayedBody(p int) string { return k.Part(p, "delayed:body") }

// Seen marks a producer's id.
func (k Keys) Seen(p int, id string) string { return k.Part(p, "seen:"+id) }

// Channel is the stream of a subscription's copies.
func (k Keys) Channel(p int, sub string) string { return k.Part(p, "ch:"+sub) }

// Retry is the sorted set of due times of what waits for its next attempt.
func (k Keys) Retry(p int, sub string) string { return k.Part(p, "retry:"+sub) }

// Failures is the hash of failure records.
func (k Keys) Failures(p int, sub string) string { return k.Part(p, "failures:"+sub) }

// Dead is the stream of dead letters.
func (k Keys) Dead(p int, sub string) string { return k.Part(p, "dead:"+sub) }

// Probe is never there: writing to it finds out whether Redis takes writes.
func (k Keys) Probe(p int) string { return k.Part(p, "probe") }

// ProbeOf is a key in the slot of another one, and never there either.
func (k Keys) ProbeOf(key string) string { return k.Prefix + ":probe:{" + key + "}" }

// Recovered marks what was written once; see WriteOnce.
func (k Keys) Recovered(p int, token string) string { return k.Part(p, "recovered:"+token) }

// Subscriptions is the hash of documents.
func (k Keys) Subscriptions() string { return k.Prefix + ":subscriptions" }

// Revision is the announced revision of the documents.
func (k Keys) Revision() string { return k.Prefix + ":subscriptions:rev" }

// Written is the version of the documents, in their slot; see version.
func (k Keys) Written() string { return k.Prefix + ":written:{" + k.Subscriptions() + "}" }

// Changes lies in the slot of the subscriptions, so that one step writes both.
func (k Keys) Changes() string { return k.Prefix + ":changes:{" + k.Subscriptions() + "}" }

// Control is the pub/sub channel of hints.
func (k Keys) Control() string { return k.Prefix + ":control" }

// Dispatchers is the sorted set of heartbeats.
func (k Keys) Dispatchers() string { return k.Prefix + ":dispatchers" }

// Dispatcher is the info of one dispatcher.
func (k Keys) Dispatcher(id string) string { return k.Prefix + ":dispatcher:" + id }

// Bench is the hash of load tests under way.
func (k Keys) Bench() string { return k.Prefix + ":bench" }

// Clock lies in the slot of the heartbeats: one step compares both with the time.
func (k Keys) Clock() string { return k.Prefix + ":clock:{" + k.Dispatchers() + "}" }

// Stats is the count hash of a second ('s'), minute ('m') or hour ('h') in unix time. It
// carries the hash tag so that a step counts what it does.
func (k Keys) Stats(p int, kind byte, at int64) string {
	return k.Prefix + ":stats:{" + strconv.Itoa(p) + "}:" + string(kind) + strconv.FormatInt(at, 10)
}

// StatsTotal is the count hash of all time.
func (k Keys) StatsTotal(p int) string { return k.Prefix + ":stats:{" + strconv.Itoa(p) + "}:total" }

// Latency is the hash of histograms of a minute in unix time. No step writes it, so it has no hash tag.
func (k Keys) Latency(minute int64) string {
	return k.Prefix + ":stats:latency:m" + strconv.FormatInt(minute, 10)
}

// Alerts is a key of what all dispatchers know of alerts together. It carries a hash tag of its
// own: the scripts on it touch no partition.
func (k Keys) Alerts(name string) string { return k.Prefix + ":alerts:{alerts}:" + name }

// Channels are the keys that every script on channels takes, three for each.
func (k Keys) Channels(p int, subs []string) []string {
	out := make([]string, 0, 3*len(subs)+2)
	for _, sub := range subs {
		out = append(out, k.Channel(p, sub), k.Retry(p, sub), k.Failures(p, sub))
	}
	return out
}

// RecoverList begins the lists that producers park messages in, inHand the hashes with the
// items taken from them. Neither begins like the other, and both match recoverPattern.
func (k Keys) RecoverList() string { return k.Prefix + ":recover:" }

// InHand begins the hashes of items in hand.
func (k Keys) InHand() string { return k.Prefix + ":recovering:" }

// RecoverPattern matches both.
func (k Keys) RecoverPattern() string { return k.Prefix + ":recover*" }

// Hand is the hash of a list's items in hand, in the list's own slot of a cluster: it has the
// list's hash tag, else the whole list as its tag. A list with a closing brace and without a
// hash tag is in a slot that no other name can be put in; a cluster refuses its steps.
func (k Keys) Hand(list string) string {
	if hashTagged(list) {
		return k.InHand() + list
	}
	return k.InHand() + "{" + list + "}"
}

// ListOf is the list of a hash of items in hand.
func (k Keys) ListOf(hand string) string {
	list := strings.TrimPrefix(hand, k.InHand())
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
