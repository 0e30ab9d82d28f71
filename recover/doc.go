// Package recover keeps what an operator may need to recover by hand, the DATA log, and
// reads it back; and it watches the lists where producers park what they cannot publish. Import it
// under the name rescue, because its own name hides the builtin.
package recover
