package docs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"unsafe"
)

// inside is the variable by which this program is the first process of a network; see inNetwork.
const inside = "DOCS_TEST_INSIDE"

// TestMain brings the loopback interface of a new network up, and becomes the command that is to run there.
func TestMain(m *testing.M) {
	if os.Getenv(inside) == "" {
		os.Exit(m.Run())
	}
	_ = os.Unsetenv(inside)
	err := loopbackUp()
	if err == nil {
		err = syscall.Exec(os.Args[1], os.Args[1:], os.Environ()) //nolint:gosec // the command is of this test
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// inNetwork is a command that runs in a network of its own, with nothing in it but loopback. What it starts ends with it.
func inNetwork(ctx context.Context, name string, args ...string) *exec.Cmd {
	path, err := exec.LookPath(name)
	if err != nil {
		path = name
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe", append([]string{path}, args...)...)
	cmd.Env = []string{inside + "=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return cmd
}

func loopbackUp() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	request := struct {
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}{flags: syscall.IFF_UP | syscall.IFF_RUNNING}
	copy(request.name[:], "lo")
	if _, _, code := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request))); code != 0 {
		return code
	}
	return syscall.Close(fd)
}
