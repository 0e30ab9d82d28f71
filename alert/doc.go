// Package alert tells operators what is wrong before their users do.
//
// It is not for other programs, and may change with every release; packages publish and verify are for them.
//
// Rules is the table of all rules: what each looks at, when it fires and what it says. A Monitor
// evaluates them once a second, in the one dispatcher that leads. Events reports what a dispatcher sees
// happen: a breaker opens, a worker answers 410, a dispatcher dies. Both write to a Store that all
// dispatchers share; it makes at most one notice of an alert within a time. A Notifier, in every
// dispatcher, takes notices from an Outbox and sends them to their receivers.
//
// Where to look: rules.go for a rule, check_….go for its value, resolve.go for who decides that an alert
// is over, retry.go for a notice that cannot be sent, receiver_url.go for what a receiver's URL may be.
//
// Nothing here is in the path of a message. What a push reports is noted in memory, one line for each
// subscription and rule, and a separate loop writes it.
//
// The package imports root and the notification library shoutrrr. Redis is behind Store and Outbox,
// which package streams implements.
package alert
