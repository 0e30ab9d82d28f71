package streams

import "github.com/solate/medispatcher"

// Decide is what a worker makes of one entry, for tests that play the worker step by step.
func (w *FanoutWorker) Decide(e Entry, router *medispatcher.Router) Routing {
	return w.decide(e, router)
}
