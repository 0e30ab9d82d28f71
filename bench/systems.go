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

const limitName, dispatcherName = "limit", "medispatcher"

// system is one that is measured.
type system struct {
	name    string
	product bool                              // it is a medispatcher
	queue   bool                              // it needs Redis
	ready   string                            // what its process writes when it is ready
	prepare func(context.Context, *rig) error // before it starts; nil: nothing
	command func(*rig) *exec.Cmd
	publish func(context.Context, *rig, span) error
}

// systems are all, each dispatcher binary one of them.
func systems(dispatchers []string) []system {
	all := []system{limit}
	if len(dispatchers) < 2 {
		return append(all, dispatcher(dispatcherName, strings.Join(dispatchers, "")))
	}
	bases := map[string]int{}
	for _, path := range dispatchers {
		bases[filepath.Base(path)]++
	}
	for _, path := range dispatchers {
		name := path
		if base := filepath.Base(path); bases[base] == 1 {
			name = base
		}
		all = append(all, dispatcher(name, path))
	}
	return all
}

func names(systems []system) []string {
	var names []string
	for _, s := range systems {
		names = append(names, s.name)
	}
	return names
}

// choose takes systems by their names. Of several dispatchers the name of the product means each.
func choose(all []system, only []string) ([]system, error) {
	if len(only) == 0 {
		return all, nil
	}
	known := append(names(all), dispatcherName)
	for _, name := range only {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("-only %s: must be of %s", name, strings.Join(known, ", "))
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(s system) bool {
		return !slices.Contains(only, s.name) && (!s.product || !slices.Contains(only, dispatcherName))
	}), nil
}

// limit is the bare loop. What others publish to Redis it reads from its standard input.
var limit = system{
	name:  limitName,
	ready: "ready",
	command: func(r *rig) *exec.Cmd {
		self, err := os.Executable()
		if err != nil {
			panic(err) // startReceiver has asked before
		}
		return r.load.child(self, "limit")
	},
	publish: func(_ context.Context, r *rig, s span) error {
		_, err := io.WriteString(r.system.stdin, s.String())
		return err
	},
}
