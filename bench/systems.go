package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const idleSubscriptions = 1000

const limitName, dispatcherName = "limit", "medispatcher"

// system is one that is measured.
type system struct {
	name    string
	label   string                            // for readers of the report
	product bool                              // it is a medispatcher
	idle    int                               // subscriptions that get nothing, beside the others
	batch   int                               // most messages in one push; 0: each goes by itself
	filter  string                            // of its subscriptions
	env     []string                          // more variables
	queue   bool                              // it needs Redis
	binary  string                            // its path; empty: this program
	ready   string                            // what its process writes when it is ready
	prepare func(context.Context, *rig) error // before it starts; nil: nothing
	command func(context.Context, *rig) *exec.Cmd
	publish func(context.Context, *rig, span) error
}

// binaries are the paths of the programs that are measured.
type binaries struct {
	dispatchers []string
	peers       string
}

// systems are all, each dispatcher binary one of them.
func systems(b binaries) []system {
	all := []system{limit}
	for i, name := range dispatcherNames(b.dispatchers) {
		all = append(all, dispatcher(name, b.dispatchers[i]))
	}
	idle := dispatcher(dispatcherName+"-idle", b.dispatchers[0])
	idle.idle = idleSubscriptions
	idle.label = fmt.Sprintf("%s beside %d idle subscriptions", dispatcherName, idleSubscriptions)
	for _, size := range []int{10, 100} {
		batches := dispatcher(fmt.Sprintf("%s-batch-%d", dispatcherName, size), b.dispatchers[0])
		batches.batch, batches.label = size, fmt.Sprintf("%s, batches of %d", dispatcherName, size)
		all = append(all, batches)
	}
	archive := dispatcher(dispatcherName+"-archive", b.dispatchers[0])
	archive.env, archive.label = []string{"MEDIS_RETENTION=1h"}, dispatcherName+" with an archive"
	filters := dispatcher(dispatcherName+"-filter", b.dispatchers[0])
	filters.filter, filters.label = "body.n >= '0'", dispatcherName+" with filters that match"
	return append(all,
		archive,
		filters,
		idle,
		peer("loop-fasthttp-fanout", "loop with a fan-out, fasthttp", b.peers, false),
		peer("loop-fanout", "loop with a fan-out, net/http", b.peers, false),
		peer("loop-fasthttp", "loop, fasthttp", b.peers, false),
		peer("loop", "loop, net/http", b.peers, false),
		peer("watermill", "Watermill, Redis Streams", b.peers, true),
		peer("asynq", "asynq", b.peers, true),
	)
}

// dispatcherNames are what tells the binaries apart: nothing but the name of the product, the names of
// the files, or else their paths.
func dispatcherNames(paths []string) []string {
	if len(paths) == 1 {
		return []string{dispatcherName}
	}
	var bases []string
	for _, path := range paths {
		bases = append(bases, filepath.Base(path))
	}
	if len(slices.Compact(slices.Sorted(slices.Values(bases)))) == len(paths) {
		return bases
	}
	return paths
}

func names(systems []system) []string {
	var names []string
	for _, s := range systems {
		names = append(names, s.name)
	}
	return names
}

// every as a name means all systems.
const every = "all"

// choose takes systems by their names. Of several dispatchers the name of the product means each.
func choose(all []system, only []string) ([]system, error) {
	known := append(names(all), dispatcherName, every)
	for _, name := range only {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("-only %s: must be of %s", name, strings.Join(slices.Compact(known), ", "))
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(s system) bool {
		return !slices.Contains(only, every) && !slices.Contains(only, s.name) && (!s.product || s.variant() || !slices.Contains(only, dispatcherName))
	}), nil
}

// variant reports whether it is not measured just because a medispatcher is.
func (s *system) variant() bool { return s.idle+s.batch+len(s.filter)+len(s.env) > 0 }

// limit is the bare loop. What others publish to Redis it reads from its standard input.
var limit = system{
	name:  limitName,
	label: "bare net/http loop, no queue: the limit",
	ready: "ready",
	command: func(ctx context.Context, r *rig) *exec.Cmd {
		self, err := os.Executable()
		if err != nil {
			panic(err) // startReceiver has asked before
		}
		return r.load.child(ctx, self, "limit")
	},
	publish: func(_ context.Context, r *rig, s span) error {
		_, err := io.WriteString(r.system.Stdin, s.String())
		return err
	},
}
