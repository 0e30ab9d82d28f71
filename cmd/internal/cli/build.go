package cli

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

// Build says what a binary was made of.
type Build struct {
	Program string `json:"program"`
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Date    string `json:"date"`
	Go      string `json:"go"`
}

func (b Build) String() string {
	return fmt.Sprintf("%s %s (commit %s, built %s, %s %s/%s)", b.Program, b.Version, b.Commit, b.Date, b.Go, runtime.GOOS, runtime.GOARCH)
}

// ReadBuild prefers what the release build set in package main: -ldflags "-X main.version=… -X main.commit=…
// -X main.date=…". `go install` and `go build` leave their own marks, which fill the rest.
func ReadBuild(program, version, commit, date string) Build {
	b := Build{Program: program, Version: version, Commit: commit, Date: date, Go: runtime.Version()}
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
