package rdb

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// Script is a step in Lua. Each says above it: KEYS, ARGV, what it returns, and why it is safe to repeat.
type Script struct{ s *redis.Script }

// NewScript makes one of its source.
func NewScript(source string) *Script { return &Script{redis.NewScript(source)} }

// Answer is what a script returned: read it as what it is, with Int64, Text, StringSlice, Slice, Result.
type Answer = redis.Cmd

// Run runs the script. Redis is sent its source where it does not have it.
func (s *Script) Run(ctx context.Context, db *DB, keys []string, args ...any) *Answer {
	return s.s.Run(ctx, db.client, keys, args...)
}

// In puts the script into a pipe. It fails where Redis does not have it: see IsNoScript.
func (s *Script) In(p *Pipe, keys []string, args ...any) *Answer {
	return s.s.EvalSha(p.ctx, p.pipe, keys, args...)
}
