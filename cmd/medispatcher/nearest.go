package main

import "github.com/solate/medispatcher"

// nearest is the candidate that s is most likely a mistyped form of.
func nearest(s string, candidates []string) string { return medispatcher.Nearest(s, candidates) }
