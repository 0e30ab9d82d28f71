package loadtest

import (
	"fmt"
	"strconv"
	"time"

	"github.com/solate/medispatcher"
)

// The body of a message is JSON of a fixed form, so that reading it is quick:
//
//	{"bench":"0123456789ab","n":"0000000041","at":"00000000000000001234567","pad":"xxx…"}
const (
	headForm = `{"bench":"%s","n":"%010d","at":"%020d","pad":"`
	tail     = `"}`
	runSize  = medispatcher.BenchRunSize
	runAt    = len(`{"bench":"`)
	numberAt = runAt + runSize + len(`","n":"`)
	timeAt   = numberAt + 10 + len(`","at":"`)
	headSize = timeAt + 20 + len(`","pad":"`)
)

// MinBody is the size of the smallest body.
const MinBody = headSize + len(tail)

// Body is the body of message n of a run, published this long after the start of the run.
func Body(run string, n int, at time.Duration, size int) []byte {
	b := fmt.Appendf(make([]byte, 0, size), headForm, run, n, at.Nanoseconds())
	for len(b) < size-len(tail) {
		b = append(b, 'x')
	}
	return append(b, tail...)
}

// readBody reads the first headSize bytes of a body that Body made for this run.
func readBody(head []byte, run string) (n int, at time.Duration, ok bool) {
	if len(head) < headSize || string(head[runAt:][:runSize]) != run {
		return 0, 0, false
	}
	n, err := strconv.Atoi(string(head[numberAt:][:10]))
	ns, atErr := strconv.ParseInt(string(head[timeAt:][:20]), 10, 64)
	return n, time.Duration(ns), err == nil && atErr == nil
}
