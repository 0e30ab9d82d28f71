package recover

import (
	"maps"
	"slices"
)

// Code says why a line is in the DATA log. docs/OPERATIONS.md says what to do about each.
type Code string

// The codes, each with what became of the message.
const (
	// DecodeError: an incoming entry cannot be decoded or is too large. It is in the quarantine, and
	// the line holds its fields.
	DecodeError Code = "DECODERR"
	// RedistributeFail: a channel could not take its copy, because a key of it is of a wrong type. The copy is
	// in the quarantine; the other channels have theirs.
	RedistributeFail Code = "REDISTFAIL"
	// Unroutable: no subscription wants the topic. The message is kept in the unrouted stream.
	Unroutable Code = "UNROUTABLE"
	// DroppedMessage: the attempts are exhausted and the drop policy says log, or no URL of the
	// subscription is for this environment. The line is the only copy of the message; if it cannot be
	// written, the message becomes a dead letter.
	DroppedMessage Code = "DROPPED"
	// DeleteFail: a message was delivered, but Redis did not take the acknowledgement. If Redis still has
	// the message, it will be delivered again.
	DeleteFail Code = "DELFAIL"
	// KickFail: a message that a dead dispatcher owned cannot be given back, so it stays in its channel
	// and nobody delivers it. Or a message failed whose channel is gone; then the line may be its only copy.
	KickFail Code = "KICKFAIL"
	// RecoverFailBack: an item was taken from a recover list and could not be published. It stays in
	// hand, and the watcher tries again.
	RecoverFailBack Code = "RECOVFAILBACK"
	// RecoverFailDecode: an item of a recover list is not JSON. It is in the quarantine.
	RecoverFailDecode Code = "RECOVFAILDECODE"
	// RecoverFailAssert: an item of a recover list is JSON, but no message that can be published. It is
	// in the quarantine.
	RecoverFailAssert Code = "RECOVFAILASSERT"
	// Sent: a message was delivered at its first attempt. Only with MEDIS_SENT_LOG.
	Sent Code = "SENT"
	// Resent: a message was delivered at a later attempt. Only with MEDIS_SENT_LOG.
	Resent Code = "RESENT"
)

// Codes lists all codes, sorted.
func Codes() []Code { return slices.Sorted(maps.Keys(codes)) }

// codes holds all codes. A line with another one is not from a DATA log.
var codes = map[Code]bool{
	DecodeError: true, RedistributeFail: true, Unroutable: true, DroppedMessage: true, DeleteFail: true, KickFail: true,
	RecoverFailBack: true, RecoverFailDecode: true, RecoverFailAssert: true, Sent: true, Resent: true,
}
