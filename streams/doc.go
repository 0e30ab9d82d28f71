// Package streams moves messages through Redis. It holds the script of every step in the life
// of a message. It also holds the registry of subscriptions, the heartbeats of dispatchers, the
// hints they send one another, and the workers that fan out and that release delayed messages.
//
// It is not for other programs, and may change with every release; packages publish and verify are for them.
//
// One arrow of a message's life is one script, one method of Store and one row of the
// state test. Its file is named after it: publish, incoming, fanout, read, delete, retry, due,
// dead, delayed, release, give_back. Every step checks who owns the entry before it
// changes anything, so a step whose reply was lost can be run again. The client never
// repeats a command: only the caller knows whether a repetition does harm.
//
// The package imports the root package and streams/internal. The packages ledger, report
// and doctor import it; it never imports them.
package streams
