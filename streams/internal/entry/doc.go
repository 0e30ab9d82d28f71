// Package entry is a message as the fields of a stream's entry, and back: the one encoder and the
// one decoder of what publishing, the fan-out, dead letters, kept messages and recovering
// write and read. Scripts copy fields as they are.
//
// What a producer wrote is checked by medispatcher.DecodeEntry; behind the fan-out every
// field is known to be good, and Delivery reads it as well as it can.
package entry
