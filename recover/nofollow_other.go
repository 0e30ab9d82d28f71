//go:build !(linux || darwin || freebsd || netbsd || openbsd)

package recover

const noFollow = 0
