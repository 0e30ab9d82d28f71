package medispatcher

// SubscriptionPut creates or replaces one subscription.
type SubscriptionPut struct {
	ID       string
	Document []byte // JSON
	// Replay is sent to the subscription from the archive; nil: none. The subscription must be new.
	Replay  *Replay
	IfMatch string // the revision that it must have; "*": any, "": any or none
}

// SubscriptionPutDone is what became of a SubscriptionPut.
type SubscriptionPutDone struct {
	Subscription Subscription
	Revision     string // see Rev
	Created      bool   // else it was replaced
	Err          error  // the others hold only if it is nil
}
