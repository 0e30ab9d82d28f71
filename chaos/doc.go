// Package chaos kills real processes and counts what arrives. Its tests are the proof
// of the promise that nothing is lost.
//
//	go test ./chaos                    a short run
//	MEDIS_CHAOS=full go test -v ./chaos    the figures of the README
package chaos
