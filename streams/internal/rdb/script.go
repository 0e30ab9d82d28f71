package rdb

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// Script is a step in Lua. The comment on each script says its KEYS and ARGV, what it returns, and
// why it is safe to repeat.
type Script struct {
	s      *redis.Script
	source string
}

// NewScript makes a Script from Lua source.
func NewScript(source string) *Script { return &Script{redis.NewScript(source), source} }

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

// Read runs a script as Run does, and reads its answer with a Cursor.
func Read[T any](ctx context.Context, db *DB, s *Script, decode func(*Cursor) T, keys []string, args ...any) (T, error) {
	reply := peruse(db.With(ctx), scriptArgs("EVALSHA", s.s.Hash(), keys, args), decode)
	if IsNoScript(reply.Err()) {
		reply = peruse(db.With(ctx), scriptArgs("EVAL", s.source, keys, args), decode)
	}
	return reply.Result()
}

// ReadIn puts the script into a pipe, and reads its answer with a Cursor. It fails with IsNoScript if Redis does not have it.
func ReadIn[T any](p *Pipe, s *Script, decode func(*Cursor) T, keys []string, args ...any) *Reply[T] {
	return peruse(p, scriptArgs("EVALSHA", s.s.Hash(), keys, args), decode)
}

func scriptArgs(name, script string, keys []string, more []any) []any {
	args := append(make([]any, 0, 3+len(keys)+len(more)), name, script, len(keys))
	for _, key := range keys {
		args = append(args, key)
	}
	return append(args, more...)
}
