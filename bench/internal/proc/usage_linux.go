package proc

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

const ticks = 100 // USER_HZ is 100 on every architecture that Go runs on

// Used reads what a process has used. Its rusage would not do: that is known only at its end, and its
// peak includes that of the parent which started it.
func Used(pid int) (u Usage, err error) {
	dir := fmt.Sprintf("/proc/%d/", pid)
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		return u, err
	}
	status, err := os.ReadFile(dir + "status")
	if err != nil {
		return u, err
	}
	// The name of the program, in parentheses, may have spaces. utime and stime are the 14th and 15th field.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return u, err
		}
		u.CPU += time.Duration(n) * time.Second / ticks
	}
	for name, bytes := range map[string]*int64{"VmHWM:": &u.Peak, "VmRSS:": &u.Now} {
		_, text, _ := strings.Cut(string(status), name)
		if _, err := fmt.Sscanf(text, "%d kB", bytes); err != nil {
			return u, fmt.Errorf("%sstatus: no %s %w", dir, name, err)
		}
		*bytes *= 1024
	}
	return u, nil
}
