// Package examples has programs that publish and receive, in the languages that people use. Its test runs
// each of them against a dispatcher. README.md says how to run one.
package examples
