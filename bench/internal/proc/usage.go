package proc

import "time"

// Usage is what a process has used since its start.
type Usage struct {
	CPU       time.Duration
	Peak, Now int64 // bytes of memory, resident
}
