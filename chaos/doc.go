// Package chaos kills real processes and counts what arrives. Its tests are the proof
// of the promise that nothing is lost.
//
//	go test ./chaos                        a short run, the quicker tests alone
//	MEDIS_TEST_REQUIRE_REDIS=1 …           all of them
//	MEDIS_CHAOS=full go test -v ./chaos    the long one, all of them with their figures
//	MEDIS_CHAOS_SEED=42 …                  the moments of an earlier run
//
// Each test has a producer that notes what Redis acknowledged, a receiver that notes
// what it took, and a fault between them. What was acknowledged and is neither with the
// receiver nor among the dead letters is lost. What came twice must have been under way,
// or accepted a moment before, when something was killed.
package chaos
