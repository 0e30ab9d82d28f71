// Package sock makes the system calls of sockets without telling Go's scheduler. Sockets of package net are non-blocking, but the
// scheduler takes each call for one that may block: it prepares to give the thread's work to another thread, and a monitor wakes
// up every 20 µs to see whether it has to. That takes a tenth of a dispatcher's CPU time. On systems other than Linux, package
// sock leaves connections as they are.
package sock
