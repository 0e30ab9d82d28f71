// Package streams keeps medispatcher's state in Redis: every key, every script
// and every command is here, and nowhere else.
//
// One arrow of a message's life is one script, one method of Store and one row of
// the state test. Every step checks who owns the entry before it changes
// anything, so a step whose reply was lost can be run again. Commands are never
// retried inside the client: who calls decides, knowing what a repetition means.
package streams
