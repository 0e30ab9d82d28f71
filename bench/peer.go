package main

import (
	"context"
	"fmt"
	"os/exec"
)

// incoming is the stream to which the dispatcher's producers write.
const incoming = "medis:{0}:incoming"

// peer is a system of the module peers. It is given what the dispatcher is given. A library that has a
// form of its own for messages publishes them itself.
func peer(name, label, binary string, publishes bool) system {
	s := system{
		name: name, label: label, binary: binary, queue: true, ready: "ready",
		command: func(ctx context.Context, r *rig) *exec.Cmd { return r.load.child(ctx, binary, name) },
		publish: publish,
	}
	if publishes {
		s.publish = func(ctx context.Context, r *rig, all span) error {
			cmd := r.load.child(ctx, binary, name)
			cmd.Args = append(cmd.Args, all.String())
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("publish: %w\n%s", err, out)
			}
			return nil
		}
	}
	return s
}
