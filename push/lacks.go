package push

import (
	"errors"
	"syscall"
)

// ofPorts reports whether a shortage is of local ports.
func ofPorts(err error) bool {
	return errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAGAIN)
}

// What a machine may be short of.
const (
	lacksFiles  = "file descriptors"
	lacksPorts  = "local ports"
	lacksMemory = "memory"
)

// Lacks are the names of what a machine may be short of, as Events.Short gives them.
var Lacks = []string{lacksFiles, lacksPorts, lacksMemory}

// lacking says what a shortage is of, and what to do about it.
func lacking(err error) (what, do string) {
	switch {
	case ofPorts(err):
		return lacksPorts, "widen net.ipv4.ip_local_port_range, or have the worker keep its connections open"
	case errors.Is(err, syscall.ENOMEM) || errors.Is(err, syscall.ENOBUFS):
		return lacksMemory, "give it more memory, or lower the concurrency of subscriptions"
	}
	return lacksFiles, "raise the limit of open files (ulimit -n, LimitNOFILE= of systemd, --ulimit nofile= of Docker), or lower the concurrency of subscriptions; see medispatcher doctor"
}
