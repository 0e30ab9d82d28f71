package medispatcher

import (
	"strings"
	"time"
)

// Once is something that is written to a partition once, however often and by however many processes
// that is tried. It goes to the incoming stream, to one channel, or to the quarantine.
type Once struct {
	Token   string // its identity: "NAME" or "NAME.<number>"
	Message Message

	Subscription string // if set: to this channel alone, READY
	Unless       string // with Subscription: write nothing while the channel holds this entry

	// KeptIn and Kept name a copy of it that is kept in the same partition, and is taken out in the same step.
	KeptIn KeptPlace
	Kept   string // its entry there; "": none

	// Reason, if set, sends it to the quarantine, as Raw. With Subscription, the message itself is kept
	// there instead of Raw: a copy that the channel cannot take.
	Reason string
	Raw    string
	Source string // where Raw comes from
}

// KeptToken is the token of what an incoming entry became that nobody got, or one subscription did not: kept in Redis and
// written to the DATA log, it is published from one of them. entry is the id of the entry.
func KeptToken(entry, sub string) string {
	token := "kept-" + strings.Replace(entry, "-", ".", 1) // those of one millisecond share a marker
	if sub != "" {
		token += "-" + sub
	}
	return token
}

// Remembered is how long Redis remembers that something was written once for an operator.
const Remembered = 30 * 24 * time.Hour

// OnceDone is what became of a Once.
type OnceDone struct {
	Result OnceResult
	Err    error // if set, nothing was written; try again
}

// OnceResult classifies what became of a Once.
type OnceResult string

// The results of a Once.
const (
	OnceWritten OnceResult = "written"
	OnceAlready OnceResult = "already" // written before, by this process or another
	OnceThere   OnceResult = "there"   // the entry that Unless names is still in the channel
)
