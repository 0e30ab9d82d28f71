package medispatcher

// Once is something that is written to a partition once, however often and by however many processes
// that is tried. It goes to the incoming stream, to one channel, or to the quarantine.
type Once struct {
	Token   string // its identity: "NAME" or "NAME.<number>"
	Message Message
	Again   bool // to the incoming stream, although its id was seen there before: it is no duplicate

	Subscription string // if set: to this channel alone, READY
	Unless       string // with Subscription: write nothing while the channel holds this entry

	// Reason, if set, sends it to the quarantine, as Raw. With Subscription, the message itself is kept
	// there instead of Raw: a copy that the channel cannot take.
	Reason string
	Raw    string
	Source string // where Raw comes from
}

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
