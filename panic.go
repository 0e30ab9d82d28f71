package medispatcher

import (
	"fmt"
	"runtime/debug"
	"sync/atomic"
)

// PanicError is a panic of this program that it survived, because only one item was concerned.
type PanicError struct {
	Value any
	Stack []byte // of the goroutine that panicked
}

func (e *PanicError) Error() string { return fmt.Sprintf("medispatcher panicked: %v", e.Value) }

// Recovered makes an error of what recover returned, and counts the panic. Call it in a deferred function.
func Recovered(value any) *PanicError {
	survived.Add(1)
	return &PanicError{value, debug.Stack()}
}

// Guard runs do and returns its panic, nil if there was none.
func Guard(do func()) (p *PanicError) {
	defer func() {
		if v := recover(); v != nil {
			p = Recovered(v)
		}
	}()
	do()
	return nil
}

// Panics counts the panics that this process survived.
func Panics() int64 { return survived.Load() }

var survived atomic.Int64
