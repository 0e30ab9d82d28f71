package medispatcher

// State says where one subscription's copy of a message is.
type State string

// The states of a copy; see the picture in the package documentation.
const (
	Ready   State = "READY"   // in the channel, not read by a worker
	Buried  State = "BURIED"  // read and not settled: in flight or waiting for its next attempt
	Deleted State = "DELETED" // settled, acknowledged and removed
	Dead    State = "DEAD"    // attempts exhausted or refused for good; replayable
)

// The states of a message that is in no channel.
const (
	Incoming State = "INCOMING" // published, not copied to the channels yet
	Delayed  State = "DELAYED"  // published with a delay that is not over
	Archived State = "ARCHIVE"  // kept for a while, whatever became of it
	// Kept, because it reached no channel:
	Unrouted    State = "UNROUTED"   // no subscription wanted the topic
	Quarantined State = "QUARANTINE" // it could not be decoded, or a channel could not take its copy
)
