package medispatcher

// Once is something to be written to a partition once, however often that is tried and by
// however many. It goes to the incoming stream, to one channel, or to the quarantine.
type Once struct {
	Token   string // what makes it the same: "NAME" or "NAME.<number>"
	Message Message
	Again   bool // to the incoming stream, where its id was taken before: it is not a duplicate

	Subscription string // not empty: to this channel alone, READY
	Unless       string // with Subscription: not while the channel holds this entry

	// Reason is not empty: to the quarantine, as Raw, because of this; with Subscription as a copy that its
	// channel cannot take, in the place of Raw.
	Reason string
	Raw    string
	Source string // where Raw comes from
}

// OnceDone is what became of a Once.
type OnceDone struct {
	Result OnceResult
	Err    error // not nil: nothing was written, and it may be tried again
}

// OnceResult classifies what became of a Once.
type OnceResult string

// The results of a Once.
const (
	OnceWritten OnceResult = "written"
	OnceAlready OnceResult = "already" // written before, by anybody
	OnceThere   OnceResult = "there"   // the entry that Unless names is still in the channel
)
