package panel

import (
	"net/http"
	"time"
)

const (
	headerTimeout = 5 * time.Second
	bodyTimeout   = time.Minute      // for the whole request, MEDIS_MAX_BODY bytes on a slow line included
	writeTimeout  = 90 * time.Second // counts from the end of the header, so it includes reading the body
	idleTimeout   = 2 * time.Minute
	// maxHeader leaves room for the 16 KiB of headers that a message may have.
	maxHeader = 64 << 10
)

// Server makes the server of a handler with every limit set, so that a client that sends or
// reads slowly holds a connection only for a bounded time.
func Server(addr string, h http.Handler) *http.Server {
	return &http.Server{
		Addr: addr, Handler: h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       bodyTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ConnState:         newWaiting(maxWaiting).note,
	}
}
