// Package sizing estimates what an installation needs. docs/SCALING.md has the measurements that its numbers come from.
package sizing

import (
	"math"
	"time"
)

// Load is what an installation is to carry.
type Load struct {
	Rate   float64       // messages a second, at the peak
	Body   int64         // bytes of a body, on average
	FanOut float64       // subscriptions that get a message, on average
	Answer time.Duration // what a worker takes for a request
	Away   time.Duration // for how long workers may be away while their messages wait
	Keep   time.Duration // for how long the archive keeps messages; 0: there is none
}

// Plan is an estimate.
type Plan struct {
	Deliveries float64 `json:"deliveries_per_second"`
	// InFlight is how many requests are under way at once, of all subscriptions together: the sum of their concurrency is at least that.
	InFlight    int     `json:"in_flight"`
	Cores       float64 `json:"dispatcher_cores"`
	Dispatchers int     `json:"dispatchers"` // one more than the load needs
	// RedisCores is what all masters use. A master uses one core, and one more for its log and the network.
	RedisCores float64 `json:"redis_cores"`
	Masters    int     `json:"masters"` // 1: no cluster
	Partitions int     `json:"partitions"`
	// Memory is what all masters hold, in bytes, when workers were away that long.
	Memory Memory `json:"memory"`
	// Log is what Redis writes to its log, and Network what leaves Redis, in bytes a second.
	Log     float64 `json:"log_bytes_per_second"`
	Network float64 `json:"network_bytes_per_second"`
	// Body is true where bodies, not messages, are most of what Redis does: storing them elsewhere and sending a reference helps.
	Body bool `json:"bodies_dominate"`
}

// Memory is bytes of Redis.
type Memory struct {
	Empty   float64 `json:"empty"`
	Waiting float64 `json:"waiting"` // READY while workers are away
	Archive float64 `json:"archive"`
	Total   float64 `json:"total"`
}

// Measured by go run ./bench/scale -only cost,memory,spread; see docs/SCALING.md. F is the number of subscribers, and a KiB
// one of the body. With its share of the message, a delivery costs so many µs of CPU:
const (
	dispatcherDelivery, dispatcherMessage, dispatcherKiB = 25, 5, 3 // 25 + 5/F + 3 a KiB
	redisDelivery, redisMessage, redisKiB                = 13, 9, 5 // 13 + 9/F + 5 a KiB × (1 + 1/F)
	clusterFactor                                        = 1.6      // dearer with 16 partitions on 3 masters: less fits into a step
)

// A delivery writes body × (1 + 1/F) + logDelivery + logMessage/F bytes to the log. A message that waits takes its body and so many bytes.
const (
	logDelivery, logMessage = 450, 315
	readyBytes              = 50
	archiveBytes            = 150
	emptyBytes              = 4 << 20
)

// A core is planned to be this busy at the peak. The rest is for what comes after an outage.
const (
	dispatcherBusy, redisBusy = 0.7, 0.6
	coresOfOne                = 4 // cores of a dispatcher, beyond which one more dispatcher is better
	partitionsOfOne           = 4 // partitions for each master, at least: slots are not spread evenly
)

// For estimates what a load needs.
func For(l Load) Plan {
	kib := float64(l.Body) / 1024
	p := Plan{Deliveries: l.Rate * l.FanOut, Masters: 1, Partitions: 1}
	p.InFlight = int(math.Ceil(p.Deliveries * l.Answer.Seconds()))
	p.Cores = p.Deliveries * (dispatcherDelivery + dispatcherMessage/l.FanOut + dispatcherKiB*kib) / 1e6
	bodies := redisKiB * kib * (1 + 1/l.FanOut)
	p.Body = bodies > redisDelivery+redisMessage/l.FanOut
	p.RedisCores = p.Deliveries * (redisDelivery + redisMessage/l.FanOut + bodies) / 1e6
	if p.RedisCores > redisBusy {
		p.RedisCores *= clusterFactor
		p.Cores *= clusterFactor
		p.Masters = max(3, int(math.Ceil(p.RedisCores/redisBusy))) // a cluster has three
		for p.Partitions < p.Masters*partitionsOfOne {
			p.Partitions *= 2
		}
	}
	p.Dispatchers = 1 + int(math.Ceil(p.Cores/dispatcherBusy/coresOfOne))
	body := float64(l.Body)
	p.Memory.Empty = emptyBytes
	p.Memory.Waiting = p.Deliveries * l.Away.Seconds() * (body + readyBytes)
	p.Memory.Archive = l.Rate * l.Keep.Seconds() * (body + archiveBytes)
	p.Memory.Total = p.Memory.Empty + p.Memory.Waiting + p.Memory.Archive
	p.Log = p.Deliveries * (body*(1+1/l.FanOut) + logDelivery + logMessage/l.FanOut)
	p.Network = p.Deliveries * body * (1 + 1/l.FanOut)
	return p
}
