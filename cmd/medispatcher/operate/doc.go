// Package operate is what an operator does to a running system and sees of it, the same by
// API and by command line: each has its own words for the errors, and this package the steps.
package operate
