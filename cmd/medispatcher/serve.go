package main

import "context"

// serve runs a dispatcher until ctx ends.
func serve(ctx context.Context, env *environment) error {
	d, err := newDaemon(ctx, env)
	if err != nil {
		return err
	}
	defer d.onHangup()()
	return d.run(ctx)
}
