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

// isBench reports whether a topic belongs to a load test: bench.<run> and no other. A user may have
// a topic bench.speed.
func isBench(topic string) bool {
	first, run, _ := strings.Cut(topic, ".")
	return first == benchLevel && len(run) == BenchRunSize && strings.Trim(run, "0123456789abcdef") == ""
}

// BenchRun is a load test that is running, or that left something in Redis.
type BenchRun struct {
	Run           string    `json:"run"`           // random
	Subscriptions int       `json:"subscriptions"` // that it created
	Host          string    `json:"host"`
	PID           int       `json:"pid"`
	Started       time.Time `json:"started"` // before its first message, by the Redis clock
	Heard         time.Time `json:"heard"`   // its last sign of life
	Alive         bool      `json:"alive"`
}

// Topic is the topic of its messages.
func (b BenchRun) Topic() string { return benchLevel + "." + b.Run }

// Name is the prefix of the ids of its subscriptions.
func (b BenchRun) Name() string { return benchLevel + "-" + b.Run }

// IDs are the ids of its subscriptions.
func (b BenchRun) IDs() []string {
	ids := make([]string, b.Subscriptions)
	for i := range ids {
		ids[i] = b.Name() + "-" + strconv.Itoa(i+1)
	}
	return ids
}
