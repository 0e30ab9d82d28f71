// Package medispatcher is the domain of a message dispatcher on Redis Streams:
// messages, topics, subscriptions and the states a message passes through.
//
// It imports the standard library alone. Redis lives in package streams, HTTP
// deliveries in package push, and the commands join them.
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
