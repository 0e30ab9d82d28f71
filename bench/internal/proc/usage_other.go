//go:build !linux

package proc

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Used asks ps what a process has used. The peak is what it has resident now.
func Used(pid int) (u Usage, err error) {
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
		u.CPU = 60*u.CPU + time.Duration(n*float64(time.Second))
	}
	u.Peak, err = strconv.ParseInt(fields[1], 10, 64)
	u.Peak *= 1024
	u.Now = u.Peak
	return u, err
}
