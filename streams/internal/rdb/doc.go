// Package rdb is the Redis that everything in streams stands on: how it is
// reached, what its keys are called, what time it is there, and how its answers and
// errors are read. It knows nothing of what a step does to a message.
//
// It is the only package that imports go-redis. It imports the root package, and
// no other package of this module.
package rdb
