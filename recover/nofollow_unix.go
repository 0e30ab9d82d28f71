//go:build linux || darwin || freebsd || netbsd || openbsd

package recover

import "syscall"

// noFollow makes opening a symbolic link fail.
const noFollow = syscall.O_NOFOLLOW
