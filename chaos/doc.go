// Package chaos kills real processes and counts what arrives. Its tests prove the promise
// that nothing is lost. They use streams and its test environments to publish and to look
// into Redis; the programs under test run as processes.
//
//	go test ./chaos                        a short run of the quicker tests
//	MEDIS_TEST_REQUIRE_REDIS=1 …           a short run of all tests
//	MEDIS_CHAOS=full go test -v ./chaos    a long run of all tests, with their figures
//	MEDIS_CHAOS_SEED=42 …                  the same random moments as an earlier run
//	MEDIS_CHAOS_PROGRAMS=DIR …             the programs of another version, to compare with
//
// Each test has a producer that records what Redis acknowledged, a receiver that records
// what it accepted, and a fault between them. A message is lost if Redis acknowledged it
// and it is neither with the receiver nor among the dead letters. A message may come twice
// only if it was in flight, or had just been accepted, when something was killed.
package chaos
