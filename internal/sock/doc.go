// Package sock makes the system calls of sockets without telling Go's scheduler. A socket of package net never blocks in one, but
// the scheduler cannot know: at each call it gets ready to give the thread's work to another thread, and a watching thread wakes
// up every 20 µs to see whether it has to. In a dispatcher, that costs a tenth of all its time. Elsewhere than on Linux, package
// sock leaves connections as they are.
package sock
