// Package push takes messages from channels and POSTs them to the subscribers' workers.
//
// It is not for other programs, and may change with every release; packages publish and verify are for them.
//
// The Scheduler reads a channel only for free slots and, of a quick subscriber, a little ahead. A subscriber that is slow
// holds nothing but its own slots. A slot is taken until Redis has the outcome, so a crash repeats no more than the slots.
// Channels with something to do are found through doorbells (Ring) and an active
// set; a slow sweep finds what a lost doorbell missed. The number of goroutines and
// Redis connections depends on the number of partitions and of requests in flight,
// not on the number of subscriptions.
//
// # The way of a message
//
// Five types have a message in hand between Redis and Redis:
//
//	freshReader.read          fresh.go      reads it; due.go for its next attempts. job.go is what is known of it from here on
//	worker.run, attempt       worker.go     asks the breaker, waits for its turn, decides with outcomeOf (outcome.go)
//	poster.attempt            attempt.go    chooses a URL, makes the request (request.go), judges the answer
//	http1.Sender.Post         http1         sends the request on a connection and reads the answer
//	settleQueue.add, run      settle.go     has the outcome written to Redis, with many others in one step
//
// Meanwhile its lane (lane.go, inflight.go) knows that this process holds it, until workers.settled (workers.go) forgets it.
//
// # Where to find what
//
//	what a push that failed comes to      outcome.go (outcomeOf), backoff.go
//	what may be read now                  reserve.go: slots (subscriber.go), breaker.go, budget.go
//	which lane is looked at next          wake.go, pump.go
//	what a lost reply took                inflight.go, reconcile.go
//	a machine that is short of something  shortage.go, lacks.go
//	who is told of what                   events.go, news.go
//	changes of subscriptions              apply.go
//	start and shutdown                    scheduler.go, workers.go
//
// The package imports the domain and push/http1, and neither streams nor any other sibling: Reader and Settler are what it
// needs of Redis.
package push
