// Package alert tells operators before their users do.
//
// A Monitor evaluates the rules once a second, in the one dispatcher that leads; Events hands
// on what any dispatcher sees happen; both note what fires in a Ledger that all
// dispatchers share, which makes at most one notice of a rule and subscription within a time. A
// Notifier, in every dispatcher, takes notices and sends them to their receivers.
//
// Nothing here is on the way of a message: what a push tells is noted in memory, a line for each
// subscription, and written by a loop of its own.
package alert
