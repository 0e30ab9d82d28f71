package rdb

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// Script is a step in Lua. The comment on each script says its KEYS and ARGV, what it returns, and
// why it is safe to repeat.
type Script struct{ s *redis.Script }

// NewScript makes a Script from Lua source.
func NewScript(source string) *Script { return &Script{redis.NewScript(source)} }

// Answer is what a script returned. Read it with the method for its type: Int64, Text, StringSlice, Slice or Result.
type Answer = redis.Cmd

// Run runs the script. It sends the source if Redis does not have it.
func (s *Script) Run(ctx context.Context, db *DB, keys []string, args ...any) *Answer {
	return s.s.Run(ctx, db.client, keys, args...)
}

// In puts the script into a pipe. It fails with IsNoScript if Redis does not have it.
func (s *Script) In(p *Pipe, keys []string, args ...any) *Answer {
	return s.s.EvalSha(p.ctx, p.pipe, keys, args...)
}
