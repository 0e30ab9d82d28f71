// Package http1 is a lean HTTP/1.1 client for what push does: many small POSTs whose bytes are in memory.
//
// It is not for other programs, and may change with every release; packages publish and verify are for them.
//
// net/http's Transport spends two goroutines on each connection and several channel hand-offs on each request. For
// messages of a few hundred bytes that costs more than the request itself. Here a [Sender] owns a connection as long as
// there is work: its goroutine writes the request at once and reads the answer in place, without a pool, a timer or a context
// for each request. When it has nothing to send it gives the connection back to the pool of the [Client].
//
// # Limits on time
//
// The deadline of a request bounds connecting, writing, reading the header and reading the body. The end of a sender's context
// closes its connection at once.
//
// # Delivery
//
// When a reused keep-alive connection turns out to be dead before a single byte of an answer came, or answers 408, the
// request is sent once more on a new connection. The server may have handled the first one, so delivery is at least once:
// send an idempotency id along. A failure of a new connection is reported, never retried.
//
// # Bodies
//
// A body of up to [MaxInline] bytes goes out in one write together with the header. A longer one is written by a second
// goroutine that ends with the request, so that a server which answers early without reading (413) does not block until
// the deadline.
//
// # Not supported
//
// Methods but POST, proxies (HTTP_PROXY and its kin are ignored), HTTP/2, trailers of requests, waiting for "100 Continue"
// (the body is sent at once), gzip, and host names that are not ASCII (write them in punycode). No User-Agent is sent unless
// the caller sets one.
package http1
