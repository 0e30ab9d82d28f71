package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/config"
)

// The body of a message is JSON of a fixed form, which is quick to read:
//
//	{"bench":"0123456789ab","n":"0000000041","at":"00000000000000001234567","pad":"xxx…"}
const (
	benchHeadForm = `{"bench":"%s","n":"%010d","at":"%020d","pad":"`
	benchTail     = `"}`
	benchRunSize  = medispatcher.BenchRunSize
	benchNAt      = len(`{"bench":"`) + benchRunSize + len(`","n":"`)
	benchTimeAt   = benchNAt + 10 + len(`","at":"`)
	benchHead     = benchTimeAt + 20 + len(`","pad":"`)
	benchMinBody  = config.Size(benchHead + len(benchTail))
)

// benchBody is the body of message n, published so long after the start of the run.
func benchBody(run string, n int, at time.Duration, size int) []byte {
	b := fmt.Appendf(make([]byte, 0, size), benchHeadForm, run, n, at.Nanoseconds())
	for len(b) < size-len(benchTail) {
		b = append(b, 'x')
	}
	return append(b, benchTail...)
}

// readBenchBody reads what benchBody wrote, of its first benchHead bytes.
func readBenchBody(head []byte, run string) (n int, at time.Duration, ok bool) {
	if len(head) < benchHead || string(head[benchNAt-len(`","n":"`)-benchRunSize:][:benchRunSize]) != run {
		return 0, 0, false
	}
	n, err := strconv.Atoi(string(head[benchNAt:][:10]))
	ns, atErr := strconv.ParseInt(string(head[benchTimeAt:][:20]), 10, 64)
	return n, time.Duration(ns), err == nil && atErr == nil
}
