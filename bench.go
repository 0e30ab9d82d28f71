package medispatcher

import (
	"strconv"
	"strings"
	"time"
)

// BenchRunSize is the length of the name of a load test, in hex digits.
const BenchRunSize = 12

// benchLevel is the first level of the topics of load tests: bench.<run>.
const benchLevel = "bench"

// isBench: such a topic is of a load test. No other is, not even bench.speed: everything else that
// begins with that level is somebody's own.
func isBench(topic string) bool {
	first, run, _ := strings.Cut(topic, ".")
	return first == benchLevel && len(run) == BenchRunSize && strings.Trim(run, "0123456789abcdef") == ""
}

// BenchRun is a load test that runs, or left something in Redis.
type BenchRun struct {
	Run           string    `json:"run"`           // random
	Subscriptions int       `json:"subscriptions"` // it made
	Host          string    `json:"host"`
	PID           int       `json:"pid"`
	Started       time.Time `json:"started"` // before its first message, by the clock of Redis
	Heard         time.Time `json:"heard"`   // when it last said that it is alive
	Alive         bool      `json:"alive"`
}

// Topic is the topic of its messages.
func (b BenchRun) Topic() string { return benchLevel + "." + b.Run }

// Name is what the ids of its subscriptions begin with.
func (b BenchRun) Name() string { return benchLevel + "-" + b.Run }

// IDs are its subscriptions.
func (b BenchRun) IDs() []string {
	ids := make([]string, b.Subscriptions)
	for i := range ids {
		ids[i] = b.Name() + "-" + strconv.Itoa(i+1)
	}
	return ids
}
