package medispatcher

import "time"

// Channel names one subscription's stream in one partition.
type Channel struct {
	Partition    int
	Subscription string
}

// Want asks for at most Max messages of a channel.
type Want struct {
	Channel
	Max  int
	Runs bool // with what waits behind each message of an ordered subscription, within Max in all
}

// Delivery is one message handed to a push worker: BURIED and owned by this dispatcher.
type Delivery struct {
	Channel
	EntryID string
	Attempt int // 1, 2, …; after an attempt whose outcome is unknown, the same number again
	Message Message
	Failure *Failure    // nil before the first failure
	Replay  bool        // a replay from the archive made this copy
	Broken  *PanicError // not nil: reading the entry panicked, so it cannot be sent

	// Messages of its key that wait right behind this one, in their order. Whoever owns this one may send them with it. They are
	// in no channel and have no EntryID.
	Run     []Delivery
	RunFrom int64 // the number of the first of them in their line

	Tried int       // attempts that it had while it waited behind another message of its key
	Due   time.Time // with Tried: when the next one may be made, by the shared clock
}

// PutOff reports whether a message was tried while it waited behind another, and this is not known of its entry yet. Settler.Retry
// has to put it off until it is due.
func (d *Delivery) PutOff() bool { return d.Tried >= d.Attempt && d.Tried > 0 }

// Failure is the record of a message that failed at least once.
type Failure struct {
	Attempts   int       `json:"attempts"`
	FirstError string    `json:"first_error"`
	LastError  string    `json:"last_error"`
	FirstAt    time.Time `json:"first_at"`
	LastAt     time.Time `json:"last_at"`
	Target     string    `json:"target"`          // URL of the last attempt, without userinfo
	Batch      int       `json:"batch,omitempty"` // messages in the push that failed last; 0: it went by itself
}

// Settlement is what became of a delivery.
type Settlement struct {
	Channel
	EntryID  string
	Outcome  Outcome
	Attempt  int           // the attempt that ended
	Took     time.Duration // how long it waited for its answer
	Target   string        // URL of the attempt, without userinfo
	Status   int           // of the answer; 0: there was none
	Answer   []byte        // the start of its body; only while Events.Settled is told
	Delay    time.Duration // with Failed: until the next attempt
	Failure  *Failure      // of a failed attempt; with Dropped, nil means that no URL qualified
	Panicked bool          // the attempt failed by a panic of this program: no failure of the subscriber
	Message  *Message      // for the log, when Redis does not take the outcome
	By       *Subscription // as it was when the attempt began, and decided the outcome; nil: there was no attempt

	Run     []Settlement // what became of the first of the messages behind this one: Sent, Failed, or Released, which leaves one where it is
	RunFrom int64        // see Delivery

	Next int       // not 0: no attempt counts; the message is put off (see Delivery.PutOff), and this is the number of its next attempt
	Due  time.Time // with Next: when; zero: after Delay
}

// Outcome classifies how a delivery ended.
type Outcome int

// The outcomes of a delivery.
const (
	Sent      Outcome = iota // → DELETED, counted as sent
	Failed                   // → BURIED, retrying after Delay
	Exhausted                // → DEAD
	Dropped                  // → DELETED by policy, counted as dropped
	Released                 // → BURIED, retrying now, the attempt not counted
)

func (o Outcome) String() string {
	return [...]string{"sent", "failed", "dead", "dropped", "released"}[o]
}

// Waiting is a channel that is not empty.
type Waiting struct {
	Channel
	DueIn time.Duration // until the first of its retrying messages is due; negative: none
}

// Mine is what this process owns in a channel.
type Mine struct {
	EntryIDs []string
	Err      error // why Redis did not say
}

// OwnerBuried is the consumer that owns the entries of a channel that wait for their next attempt. No
// dispatcher has this name.
const OwnerBuried = "~buried"

// Owned says who owns what in a channel.
type Owned struct {
	Length  int64            // entries in the stream
	Pending map[string]int64 // pending entries by consumer, 0 for those with none
	Err     error            // why this channel cannot be read, when others can
}
