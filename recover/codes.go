package recover

import (
	"maps"
	"slices"
)

// Code says why a line stands in the DATA log; docs/OPERATIONS.md tells what to do about each.
type Code string

// The codes, and what has become of the message.
const (
	// DecodeError says: an entry of the incoming stream cannot be decoded, or is too large. It is
	// in the quarantine, and its fields are in the line.
	DecodeError Code = "DECODERR"
	// RedistributeFail says: a channel could not take its copy, because its key is not a stream.
	// The copy is in the quarantine; the other channels have theirs.
	RedistributeFail Code = "REDISTFAIL"
	// Unroutable says: no subscription wants the topic. The message is kept among the unrouted ones.
	Unroutable Code = "UNROUTABLE"
	// DroppedMessage says: attempts are exhausted and the drop policy says log, or no URL of the
	// subscription is for this environment. The line is all there is of the message, which becomes a
	// dead letter if it cannot be written.
	DroppedMessage Code = "DROPPED"
	// DeleteFail says: a message was delivered and Redis could not be told. It will be delivered
	// again, if it is still there.
	DeleteFail Code = "DELFAIL"
	// KickFail says: what a dead dispatcher owned cannot be given back, and stays in its channel
	// where nobody delivers it; or a message failed and its channel is gone, and the line may be
	// all there is of it.
	KickFail Code = "KICKFAIL"
	// RecoverFailBack says: an item of a recover list was taken and could not be published. It
	// stays in hand and is tried again.
	RecoverFailBack Code = "RECOVFAILBACK"
	// RecoverFailDecode says: an item of a recover list is not JSON. It is in the quarantine.
	RecoverFailDecode Code = "RECOVFAILDECODE"
	// RecoverFailAssert says: an item of a recover list is JSON, and not a message that can be
	// published. It is in the quarantine.
	RecoverFailAssert Code = "RECOVFAILASSERT"
	// Sent says: a message was delivered at the first attempt. Written with MEDIS_SENT_LOG alone.
	Sent Code = "SENT"
	// Resent says: a message was delivered at a later attempt. Written with MEDIS_SENT_LOG alone.
	Resent Code = "RESENT"
)

// Codes are all of them, sorted.
func Codes() []Code { return slices.Sorted(maps.Keys(codes)) }

// codes are all of them: a line with another one is not ours.
var codes = map[Code]bool{
	DecodeError: true, RedistributeFail: true, Unroutable: true, DroppedMessage: true, DeleteFail: true, KickFail: true,
	RecoverFailBack: true, RecoverFailDecode: true, RecoverFailAssert: true, Sent: true, Resent: true,
}
