// Package rdb is the Redis client beneath streams: connections, commands and scripts, names of
// keys, the shared clock, and decoding of replies and errors. It does not know what a step does to
// a message.
//
// It is the only package that imports go-redis. It imports the root package, and
// no other package of this module.
package rdb
