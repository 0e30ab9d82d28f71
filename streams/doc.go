// Package streams is the way of a message through Redis: every key and every script of
// its life, and beside them the registry of subscriptions, the heartbeats of dispatchers, the
// hints between them, and the workers that fan out and that release what is delayed.
//
// One arrow of a message's life is one script, one method of Store and one row of the
// state test; its file has its name: publish, incoming, fanout, read, delete, retry, due,
// dead, delayed, release, give_back. Every step checks who owns the entry before it
// changes anything, so a step whose reply was lost can be run again. Commands are never
// repeated by the client: the caller decides, and knows what a repetition means.
//
// It imports the root package and streams/internal. The rooms beneath it, ledger, report
// and doctor, import it; it never imports them.
package streams
