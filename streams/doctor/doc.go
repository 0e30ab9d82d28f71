// Package doctor examines Redis and the state that medispatcher keeps in it. It only reads, in
// small steps. Each check gives a Finding: what was seen, how bad it is, and what to do about it.
//
// It is not for other programs, and may change with every release; packages publish and verify are for them.
//
// It imports the root package, streams, streams/report and streams/internal. None of them imports it.
package doctor
