package rdb

import (
	"strconv"
	"strings"

	"github.com/solate/medispatcher"
)

const (
	// GroupFanout is the group of the incoming streams.
	GroupFanout = "fanout"
	// GroupPush is the group of the channels.
	GroupPush = "push"
	// Buried is the consumer that owns the entries that wait for their next attempt.
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

// QuarantineSize is the hash with the size of the quarantine.
func (k Keys) QuarantineSize(p int) string { return k.Part(p, "quarantine:size") }

// Unrouted is the stream of messages that no subscription wanted.
func (k Keys) Unrouted(p int) string { return k.Part(p, "unrouted") }

// UnroutedSize is the hash with the size of the unrouted stream.
func (k Keys) UnroutedSize(p int) string { return k.Part(p, "unrouted:size") }

// Archive is the stream of all accepted messages, for as long as they are kept.
func (k Keys) Archive(p int) string { return k.Part(p, "archive") }

// ArchiveState is the hash {written, first, fence} of the archive; see archive.go in streams.
func (k Keys) ArchiveState(p int) string { return k.Part(p, "archive:state") }

// Replay is the hash that notes how far a replay from the archive has come.
func (k Keys) Replay(p int, sub string) string { return k.Part(p, "replay:"+sub) }

// Copying is the hash with the progress of the fan-out of large entries.
func (k Keys) Copying(p int) string { return k.Part(p, "copying") }

// Delayed is the sorted set of delayed messages, by due time.
func (k Keys) Delayed(p int) string { return k.Part(p, "delayed") }

// DelayedBody is the hash with the fields of the delayed messages.
func (k Keys) DelayedBody(p int) string { return k.Part(p, "delayed:body") }

// Seen remembers an id from a producer, to drop duplicates.
func (k Keys) Seen(p int, id string) string { return k.Part(p, "seen:"+id) }

// Channel is the stream of a subscription's copies.
func (k Keys) Channel(p int, sub string) string { return k.Part(p, "ch:"+sub) }

// Retry is the sorted set of entries that wait for their next attempt, by due time.
func (k Keys) Retry(p int, sub string) string { return k.Part(p, "retry:"+sub) }

// Failures is the hash of failure records.
func (k Keys) Failures(p int, sub string) string { return k.Part(p, "failures:"+sub) }

// Line is the hash that says which keys of an ordered subscription have a copy in its channel, and how many copies wait.
func (k Keys) Line(p int, sub string) string { return k.Part(p, "line:"+sub) }

// Wait is the hash of the copies that wait behind others of their key.
func (k Keys) Wait(p int, sub string) string { return k.Part(p, "wait:"+sub) }

// Dead is the stream of dead letters.
func (k Keys) Dead(p int, sub string) string { return k.Part(p, "dead:"+sub) }

// Active is the set of the subscriptions whose channels may hold work.
func (k Keys) Active(p int) string { return k.Part(p, "active") }

// ActiveDead is the set of the subscriptions that may have dead letters.
func (k Keys) ActiveDead(p int) string { return k.Part(p, "active:dead") }

// Probe is a key that never exists. Writing to it finds out whether Redis accepts writes.
func (k Keys) Probe(p int) string { return k.Part(p, "probe") }

// ProbeOf is like Probe, in the cluster slot of another key.
func (k Keys) ProbeOf(key string) string { return k.Prefix + ":probe:{" + key + "}" }

// Recovered remembers a token of WriteOnce, so that its message is not written again.
func (k Keys) Recovered(p int, token string) string { return k.Part(p, "recovered:"+token) }

// Subscriptions is the hash of documents.
func (k Keys) Subscriptions() string { return k.Prefix + ":subscriptions" }

// Revision is the announced revision of the documents.
func (k Keys) Revision() string { return k.Prefix + ":subscriptions:rev" }

// Written is the version of the documents. It lies in their slot.
func (k Keys) Written() string { return k.Prefix + ":written:{" + k.Subscriptions() + "}" }

// Changes is the history of the subscriptions. It lies in their slot, so that one step writes both.
func (k Keys) Changes() string { return k.Prefix + ":changes:{" + k.Subscriptions() + "}" }

// Deeds is the audit trail without the history of subscriptions. It lies in the slot of that one, so that one clock gives the
// ids of both.
func (k Keys) Deeds() string { return k.Prefix + ":deeds:{" + k.Subscriptions() + "}" }

// EndedSessions is the sorted set of the sessions that were ended before their time, by that time.
func (k Keys) EndedSessions() string { return k.Prefix + ":sessions:ended" }

// Replays is the hash of replays that are not finished, by subscription. It lies in the slot of the documents, so that a new
// subscription and its replay are one step.
func (k Keys) Replays() string { return k.Prefix + ":replays:{" + k.Subscriptions() + "}" }

// Control is the pub/sub channel of hints.
func (k Keys) Control() string { return k.Prefix + ":control" }

// Partitions is how many partitions were ever used, and not forgotten since. It lies in the slot of the heartbeats.
func (k Keys) Partitions() string { return k.Prefix + ":partitions:{" + k.Dispatchers() + "}" }

// Doorbell is the pub/sub channel of hints for one dispatcher. In a cluster it is at the node of Control, as all listeners are, so that
// PUBLISH can count them.
func (k Keys) Doorbell(id string) string { return k.Prefix + ":control:{" + k.Control() + "}:" + id }

// Dispatchers is the sorted set of heartbeats.
func (k Keys) Dispatchers() string { return k.Prefix + ":dispatchers" }

// Dispatcher is the info of one dispatcher.
func (k Keys) Dispatcher(id string) string { return k.Prefix + ":dispatcher:" + id }

// Book is the hash of the infos of all dispatchers. It lies in the slot of the heartbeats.
func (k Keys) Book() string { return k.Prefix + ":book:{" + k.Dispatchers() + "}" }

// Bench is the hash of running load tests.
func (k Keys) Bench() string { return k.Prefix + ":bench" }

// Clock is the hash of the shared clock. It lies in the slot of the heartbeats, so that one step
// compares both with the time.
func (k Keys) Clock() string { return k.Prefix + ":clock:{" + k.Dispatchers() + "}" }

// Stats is the count hash of a second ('s'), minute ('m') or hour ('h') in unix time. It has the
// hash tag of the partition, so that a step can count what it does.
func (k Keys) Stats(p int, kind byte, at int64) string {
	return k.Prefix + ":stats:{" + strconv.Itoa(p) + "}:" + string(kind) + strconv.FormatInt(at, 10)
}

// StatsNow is the count hash of a moment that is not yet in those of its second, minute and hour.
func (k Keys) StatsNow(p int) string { return k.Prefix + ":stats:{" + strconv.Itoa(p) + "}:now" }

// StatsTotal is the count hash of all time.
func (k Keys) StatsTotal(p int) string { return k.Prefix + ":stats:{" + strconv.Itoa(p) + "}:total" }

// Latency is the hash of the histograms of one minute in unix time. No step writes it, so it has no hash tag.
func (k Keys) Latency(minute int64) string {
	return k.Prefix + ":stats:latency:m" + strconv.FormatInt(minute, 10)
}

// Times is the hash of the histograms of all subscriptions together, of a minute ('m') or hour ('h') in unix time. No step writes it.
func (k Keys) Times(kind byte, at int64) string {
	return k.Prefix + ":stats:times:" + string(kind) + strconv.FormatInt(at, 10)
}

// TimesOfEach is the hash of the histograms of each subscription of an hour in unix time; for those of a minute see Latency.
func (k Keys) TimesOfEach(hour int64) string {
	return k.Prefix + ":stats:latency:h" + strconv.FormatInt(hour, 10)
}

// Sampler is the key of whoever samples the backlog.
func (k Keys) Sampler() string { return k.Prefix + ":stats:sampler" }

// Deliveries is the list of a subscription's latest attempts. No step writes it, so it has no hash tag.
func (k Keys) Deliveries(sub string) string { return k.Prefix + ":deliveries:" + sub }

// Alerts is a key of the state of alerts. These keys have a hash tag of their own, because their
// scripts touch no partition.
func (k Keys) Alerts(name string) string { return k.Prefix + ":alerts:{alerts}:" + name }

// Channels are the three keys of each channel that every script on channels takes.
func (k Keys) Channels(p int, subs []string) []string {
	out := make([]string, 0, 3*len(subs)+2)
	for _, sub := range subs {
		out = append(out, k.Channel(p, sub), k.Retry(p, sub), k.Failures(p, sub))
	}
	return out
}

// RecoverList is the prefix of the recover lists, in which producers park messages. InHand must not
// begin with it, and RecoverPattern must match both.
func (k Keys) RecoverList() string { return k.Prefix + ":recover:" }

// InHand is the prefix of the hashes that hold the items taken from a recover list.
func (k Keys) InHand() string { return k.Prefix + ":recovering:" }

// RecoverPattern matches recover lists and their items in hand.
func (k Keys) RecoverPattern() string { return k.Prefix + ":recover*" }

// Hand is the hash of the items in hand of a recover list, in the slot of the list. It has the hash
// tag of the list, or else the whole name of the list as its tag. No other key can share the slot of a
// list whose name has a closing brace but no hash tag: a cluster refuses the steps on such a list.
func (k Keys) Hand(list string) string {
	if hashTagged(list) {
		return k.InHand() + list
	}
	return k.InHand() + "{" + list + "}"
}

// ListOf is the recover list to which a hash of items in hand belongs.
func (k Keys) ListOf(hand string) string {
	list := strings.TrimPrefix(hand, k.InHand())
	if strings.HasPrefix(list, "{") {
		list = strings.TrimSuffix(list[1:], "}")
	}
	return list
}

// hashTagged reports whether a key has a hash tag. Redis Cluster hashes the text in the first
// braces, unless it is empty.
func hashTagged(key string) bool {
	_, rest, ok := strings.Cut(key, "{")
	return ok && strings.Index(rest, "}") > 0
}
