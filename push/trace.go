package push

import (
	"net/http"

	"github.com/solate/medispatcher"
)

// Tracer follows attempts.
type Tracer interface {
	// Attempt begins the span of an attempt at a target. The header of its request holds what
	// the message carried; Attempt adds what the subscriber needs to continue the trace. end takes the status
	// of the response, 0 for none, and why the attempt failed.
	Attempt(d *medispatcher.Delivery, target string, header http.Header) (end func(status int, problem string))
}
