// Package doctor examines the Redis that everything is in, and the state in it. It
// only reads, in small steps. What is wrong, what may become wrong and what cannot be told
// is a Finding each, with what to do about it.
//
// It imports streams, which knows the keys and steps, and never the other way round.
package doctor
