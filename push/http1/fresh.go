package http1

import "context"

type freshKey struct{}

// Fresh returns a context whose requests go out on a new connection, whatever
// connections are idle: for finding out whether a server can be reached.
func Fresh(ctx context.Context) context.Context {
	return context.WithValue(ctx, freshKey{}, true)
}

// IsFresh reports whether ctx comes from Fresh.
func IsFresh(ctx context.Context) bool { return ctx.Value(freshKey{}) != nil }
