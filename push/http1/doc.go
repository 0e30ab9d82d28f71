// Package http1 is a lean HTTP/1.1 client transport for many small POSTs.
//
// net/http's Transport spends two goroutines on each connection and several
// channel hand-offs on each request. For messages of a few hundred bytes that
// costs more than the request itself. [Transport] writes the request and reads
// the response in the caller's goroutine, on pooled keep-alive connections. It
// implements [net/http.RoundTripper], so net/http's Transport can replace it.
//
// # Limits on time
//
// The deadline of the request's context bounds connecting, writing, reading the
// header and reading the body. A request without a deadline is bounded only
// while it connects: always give one. Cancelling the context closes the
// connection at once.
//
// # Delivery
//
// When a reused keep-alive connection turns out to be dead before a single
// response byte came, the request is sent once more on a fresh connection,
// POSTs included. The server may have handled the first one, so delivery is at
// least once: send an idempotency id along. A failure of a fresh connection is
// reported, never retried.
//
// # Request bodies
//
// A body of up to 64 KiB is read into memory before anything is sent; it goes
// out in one write together with the header and can be resent. A longer body is
// streamed by a second goroutine that ends with the request, so that a server
// which answers early without reading (413) does not block until the deadline.
// Reading the caller's Body cannot be interrupted for the first 64 KiB, so it
// should not block.
//
// # Not supported
//
// Proxies (HTTP_PROXY and its kin are ignored), HTTP/2, CONNECT and Upgrade,
// request trailers, waiting for "100 Continue" (the body is sent at once),
// httptrace, transparent gzip, and host names that are not ASCII (write them
// in punycode). No User-Agent is sent unless the caller sets one.
package http1
