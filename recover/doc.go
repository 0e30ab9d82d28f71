// Package recover keeps messages that an operator or a producer has to bring back, and brings them back.
//
// It is not for other programs, and may change with every release; packages publish and verify are for them.
//
// It has two parts. The DATA log holds, one JSON object a line, every message that could not go its way:
// datalog_write.go writes it, datalog_read.go reads it, and plan.go decides what recovering a line means.
// The Watcher moves what producers parked in the recover lists (medis:recover:*), because they could not
// publish it, to the incoming streams: watcher.go is its loop, batch.go the steps of one batch.
//
// It imports root alone. Redis is behind Lists and Publisher, which package streams implements. Import the
// package as rescue: its own name hides the builtin recover.
package recover
