// Package recover keeps what an operator may need to recover by hand: the DATA
// log. Import it under the name rescue, because its own name hides the builtin.
package recover
