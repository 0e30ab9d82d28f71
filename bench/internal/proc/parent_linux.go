package proc

import (
	"os/exec"
	"syscall"
)

// endWithUs makes the kernel kill a command when this process is gone, however that ended.
func endWithUs(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
