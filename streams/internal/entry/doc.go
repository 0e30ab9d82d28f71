// Package entry encodes a message as the fields of a stream entry, and decodes it. Publishing, the
// fan-out, dead letters, kept messages and recovery all use it. Scripts copy fields unchanged.
//
// Fields is the one decoder. What a producer wrote it checks (Checked). After the fan-out the fields
// are known to be valid, so Message returns no error and reads what it can.
//
// It imports the root package and streams/internal/rdb.
package entry
