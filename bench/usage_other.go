//go:build !linux

package main

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// used asks ps what a process has used. The peak is what it has resident now.
func used(pid int) (u usage, err error) {
	out, err := exec.Command("ps", "-o", "time=,rss=", "-p", strconv.Itoa(pid)).Output() //nolint:noctx // ends at once
	if err != nil {
		return u, err
	}
	fields := strings.Fields(string(out))
	if len(fields) != 2 {
		return u, fmt.Errorf("ps says %q", out)
	}
	for part := range strings.SplitSeq(fields[0], ":") { // [hh:]mm:ss.cc
		n, err := strconv.ParseFloat(part, 64)
		if err != nil {
			return u, err
		}
		u.cpu = 60*u.cpu + time.Duration(n*float64(time.Second))
	}
	u.peak, err = strconv.ParseInt(fields[1], 10, 64)
	u.peak *= 1024
	return u, err
}
