package main

import (
	"context"
	"debug/buildinfo"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/solate/medispatcher/bench/internal/proc"
)

// facts are what was measured, and on what.
type facts struct {
	CPU, Kernel, Go, Redis, Fsync, Commit, Date string
	Cores                                       int
	Peers                                       []string // modules with their versions
}

func factsOf(ctx context.Context, all []system) (f facts, err error) {
	f = facts{
		CPU: processor(ctx), Cores: runtime.NumCPU(), Kernel: kernel(ctx), Go: strings.TrimPrefix(runtime.Version(), "go"),
		Fsync: proc.Appendfsync, Date: time.Now().UTC().Format(time.DateOnly), Commit: said(ctx, "git", "describe", "--always", "--dirty"),
	}
	for field := range strings.FieldsSeq(said(ctx, "redis-server", "--version")) {
		if version, ok := strings.CutPrefix(field, "v="); ok {
			f.Redis = version
		}
	}
	for _, s := range all {
		if s.binary == "" {
			continue
		}
		info, err := buildinfo.ReadFile(s.binary)
		if err != nil {
			return f, err
		}
		if s.product {
			f.Commit = commitOf(info, f.Commit)
			continue
		}
		for _, dep := range info.Deps {
			name, compared := compared[dep.Path]
			if named := name + " " + dep.Version; compared && !slices.Contains(f.Peers, named) {
				f.Peers = append(f.Peers, named)
			}
		}
	}
	return f, nil
}

// commitOf is the commit of which a binary was built, if it says so.
func commitOf(info *buildinfo.BuildInfo, otherwise string) string {
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	commit := settings["vcs.revision"]
	switch {
	case commit == "":
		return otherwise
	case settings["vcs.modified"] == "true":
		return commit[:7] + " with changes"
	default:
		return commit[:7]
	}
}

// compared are the names of the modules whose versions matter.
var compared = map[string]string{
	"github.com/valyala/fasthttp":                    "fasthttp",
	"github.com/redis/go-redis/v9":                   "go-redis",
	"github.com/ThreeDotsLabs/watermill":             "watermill",
	"github.com/ThreeDotsLabs/watermill-redisstream": "watermill-redisstream",
	"github.com/hibiken/asynq":                       "asynq",
}

// kernel is its name and version, without what a distribution or a cloud adds.
func kernel(ctx context.Context) string {
	version, _, _ := strings.Cut(said(ctx, "uname", "-r"), "-")
	return strings.Join([]string{said(ctx, "uname", "-s"), version, runtime.GOARCH}, " ")
}

func processor(ctx context.Context) string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return said(ctx, "sysctl", "-n", "machdep.cpu.brand_string")
	}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.Trim(name, "\t :\n")
		}
	}
	return runtime.GOARCH
}

// said is what a command writes, in one line, or "unknown".
func said(ctx context.Context, name string, args ...string) string {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
