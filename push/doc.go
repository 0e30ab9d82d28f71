// Package push takes messages from channels and POSTs them to the subscribers'
// workers.
//
// The Scheduler reads a channel only for free slots, so a worker never holds what
// it cannot start, and a subscriber that is slow holds nothing but its own slots.
// Channels with something to do are found through doorbells (Ring) and an active
// set; a slow sweep finds what a lost doorbell missed. The number of goroutines and
// Redis connections depends on the number of partitions and of requests in flight,
// not on the number of subscriptions.
package push
