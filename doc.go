// Package medispatcher is the domain of a message dispatcher on Redis Streams:
// messages, topics, subscriptions and the states a message passes through.
//
// It is not for other programs, and may change with every release; packages publish and verify are for them.
//
// The other packages share these types; they do not import each other. This package imports the
// standard library alone. Redis is in package streams, deliveries by HTTP are in package push, and
// the commands under cmd join them.
//
// Where to look:
//
//   - a message: message.go, headers.go, topic.go, webhook_id.go
//   - a subscription: subscription.go declares its fields, fields.go reads their tags, rules*.go
//     check a document, document.go is what is stored, change.go compares two versions
//   - who gets a topic: router.go
//   - a delivery and its outcome: delivery.go; the states of a message: state.go
//   - messages that were not delivered: undelivered.go, recover_lists.go
//   - what operators see: status.go, dispatcher.go, stats.go, story.go, alert.go
//
// The life of a message:
//
//	 XADD            fan-out                read                2xx
//	──────▶ INCOMING ───────▶ READY ───────────────▶ BURIED ─────────▶ DELETED
//	           │  │ undecodable ▲   replay             │  ▲
//	           │  ▼             │                      │  │ due (attempt n+1)
//	           │ QUARANTINE     └──────── DEAD ◀───────┘  │
//	           ▼ nobody wants it                          │
//	       UNROUTED                                       │
//	                     failed or released ──▶ BURIED, retrying at t
package medispatcher
