package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

// Set by the release build: -ldflags "-X main.version=… -X main.commit=… -X main.date=…".
var version, commit, date string

// buildInfo says what this binary was made of.
type buildInfo struct {
	Version, Commit, Date, Go string
}

func (b buildInfo) String() string {
	return fmt.Sprintf("medispatcher %s (commit %s, built %s, %s %s/%s)", b.Version, b.Commit, b.Date, b.Go, runtime.GOOS, runtime.GOARCH)
}

// readBuild prefers what the release build set. `go install` and `go build` leave
// their own marks, which fill the rest.
func readBuild() buildInfo {
	b := buildInfo{Version: version, Commit: commit, Date: date, Go: runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		marks := map[string]string{}
		for _, s := range info.Settings {
			marks[s.Key] = s.Value
		}
		b.Version = cmp.Or(b.Version, info.Main.Version)
		if b.Commit == "" && marks["vcs.revision"] != "" {
			b.Commit = marks["vcs.revision"]
			if marks["vcs.modified"] == "true" {
				b.Commit += ", modified"
			}
		}
		// Without a build date the time of the commit is the nearest thing known.
		b.Date = cmp.Or(b.Date, marks["vcs.time"])
	}
	b.Version, b.Commit, b.Date = cmp.Or(b.Version, "(devel)"), cmp.Or(b.Commit, "unknown"), cmp.Or(b.Date, "unknown")
	return b
}
