// Package publish writes messages for medispatcher to Redis, from a program written in Go. Any Redis
// client can do the same with XADD. This package adds what is easily forgotten: it checks a message
// before it is sent, chooses its partition, gives it an id so that a repetition does no harm, writes
// many in one round trip, and parks in a recover list what the Redis does not take.
//
// What it exports stays as it is within a major version of medispatcher.
//
// Dial is all that most programs need. It imports go-redis and packages of medispatcher that need the standard library alone.
//
// A program that has a client of go-redis already may give that instead of a URL. Make it with MaxRetries -1
// and ContextTimeoutEnabled: go-redis would otherwise repeat a write whose answer was lost, and would wait longer
// than Options.Timeout.
package publish
