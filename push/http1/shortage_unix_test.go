//go:build linux || darwin

package http1_test

import (
	"os"
	"syscall"
	"testing"

	"github.com/solate/medispatcher/push/http1"
)

// withoutDescriptors runs f while nothing can be opened but n files.
func withoutDescriptors(t *testing.T, n int, f func()) {
	t.Helper()
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	first, err := os.Open(os.DevNull) // the lowest number that is free
	if err != nil {
		t.Fatal(err)
	}
	low := was
	low.Cur = uint64(first.Fd()) + 1
	first.Close()
	// Below that number none may be free, above it none can be had.
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	var held []*os.File
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		held = append(held, f)
	}
	for _, f := range held[:min(n, len(held))] {
		f.Close()
	}
	defer func() {
		for _, f := range held[min(n, len(held)):] {
			f.Close()
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}

// TestNoDescriptorIsLeft: neither a dial nor a lookup that fails for lack of a descriptor is the server's fault.
func TestNoDescriptorIsLeft(t *testing.T) {
	s := serve(t, echo)
	for name, url := range map[string]string{"dial": s.url, "TLS": "https://" + s.addr, "lookup": "http://worker.invalid/"} {
		t.Run(name, func(t *testing.T) {
			tr := newClient(t, http1.Options{})
			var err error
			r := newRequest(t, url, "x")
			short := false
			withoutDescriptors(t, 0, func() {
				_, err = try(tr, r, soon)
				short = http1.IsShortage(err)
			})
			if err == nil {
				t.Fatal("the request went out")
			}
			if !short {
				t.Errorf("%v is no shortage", err)
			}
		})
	}
}
