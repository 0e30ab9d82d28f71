package medispatcher

import (
	"fmt"
	"runtime/debug"
	"sync/atomic"
)

// PanicError is a panic of this program that was survived, because it concerned one item alone.
type PanicError struct {
	Value any
	Stack []byte // of the goroutine, where it panicked
}

func (e *PanicError) Error() string { return fmt.Sprintf("medispatcher panicked: %v", e.Value) }

// Recovered makes an error of what recover returned, and counts it. A deferred function has to call it.
func Recovered(value any) *PanicError {
	survived.Add(1)
	return &PanicError{value, debug.Stack()}
}

// Guard runs do, and returns its panic, if it does.
func Guard(do func()) (p *PanicError) {
	defer func() {
		if v := recover(); v != nil {
			p = Recovered(v)
		}
	}()
	do()
	return nil
}

// Panics is how many panics this process survived.
func Panics() int64 { return survived.Load() }

var survived atomic.Int64
