// Package loadtest measures how fast messages get through Redis and its dispatchers. It has one load
// generator, the Publisher, and one worker that counts, the Receiver. `medispatcher bench`, `go run
// ./bench` and tests use both; Test joins them to a run that cleans up behind itself.
//
// It knows nothing of the command line. It may import streams, operate and the root package.
package loadtest

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"os"
	"time"

	"github.com/solate/medispatcher"
)

// Plan says what is sent, and how the receiver answers.
type Plan struct {
	Messages    int
	Subscribers int           // each gets every message
	Concurrency int           // pushes at once of each subscription, in each dispatcher
	Size        int           // bytes of a body, at least MinBody
	Rate        int           // messages a second; 0: as fast as they are delivered
	Delay       time.Duration // of an answer
	Fail        int           // percent of the answers
	Batch       int           // most messages in one push; 0: each goes by itself
	Answer      string        // body of an answer 200; empty: 204 without a body
	Wait        time.Duration // the test gives up when nothing happens for this long
}

// NewRun names a run of this process.
func (p *Plan) NewRun() medispatcher.BenchRun {
	host, _ := os.Hostname()
	var random [runSize / 2]byte
	_, _ = rand.Read(random[:])
	return medispatcher.BenchRun{Run: hex.EncodeToString(random[:]), Subscriptions: p.Subscribers, Host: host, PID: os.Getpid()}
}

// A message that fails is tried again within milliseconds, and given up within half a minute.
const (
	maxRetries       = 20
	retryCoefficient = 10 * time.Millisecond
	// answerWithin is what a worker gets beyond the delay of the plan.
	answerWithin = 5 * time.Second
)

// document is a subscription of a run.
func (p *Plan) document(run medispatcher.BenchRun, rules *medispatcher.Rules, url string) []byte {
	timeout := min(max(time.Duration(rules.Defaults.Timeout), p.Delay+answerWithin), time.Duration(rules.Max.Timeout))
	fields := map[string]any{
		"topic": run.Topic(), "urls": []string{url}, "interval": "0s",
		"concurrency": p.Concurrency, "retry_concurrency": min(p.Concurrency, rules.Max.RetryConcurrency),
		"timeout":     timeout.String(),
		"max_retries": maxRetries, "retry_coefficient": retryCoefficient.String(),
		"alert": map[string]any{"enabled": false},
	}
	if p.Batch > 1 { // earlier versions do not know the field
		fields["batch"] = map[string]any{"size": p.Batch}
	}
	doc, err := json.Marshal(fields)
	if err != nil {
		panic(err) // strings and numbers
	}
	return doc
}
