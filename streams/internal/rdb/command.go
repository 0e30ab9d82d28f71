package rdb

import (
	"context"
	"errors"
	"slices"

	"github.com/redis/go-redis/v9"
)

// Conn is where a command goes: to Redis at once (DB.With, Node.With), or into a Pipe.
// The functions in reply.go take one. Their names say what Redis answers.
type Conn interface {
	send(cmd redis.Cmder)
}

// direct sends a command at once.
type direct struct {
	ctx    context.Context //nolint:containedctx // of one command
	client redis.UniversalClient
}

func (d direct) send(cmd redis.Cmder) { _ = d.client.Process(d.ctx, cmd) }

// With sends commands one by one.
func (db *DB) With(ctx context.Context) Conn { return direct{ctx, db.client} }

// WithBlocking is With on the connections for blocked reads.
func (db *DB) WithBlocking(ctx context.Context) Conn { return direct{ctx, db.blocking} }

// Pipe collects commands that share one round trip.
type Pipe struct {
	ctx  context.Context //nolint:containedctx // of one round trip
	pipe redis.Pipeliner
	bare redis.Pipeliner // takes the commands if Redis aborts their transaction; nil: they fail
}

// Pipe begins a round trip.
func (db *DB) Pipe(ctx context.Context) *Pipe { return &Pipe{ctx: ctx, pipe: db.client.Pipeline()} }

// Tx begins a round trip whose commands run as one transaction (MULTI).
func (db *DB) Tx(ctx context.Context) *Pipe { return &Pipe{ctx: ctx, pipe: db.client.TxPipeline()} }

// ReadTx is Tx for commands that only read. A Redis that is full refuses every command after MULTI, reads
// too: then they are sent without it, and others' commands may come between them.
func (db *DB) ReadTx(ctx context.Context) *Pipe {
	return &Pipe{ctx: ctx, pipe: db.client.TxPipeline(), bare: db.client.Pipeline()}
}

// BlockingPipe is Pipe on the connections for blocked reads.
func (db *DB) BlockingPipe(ctx context.Context) *Pipe {
	return &Pipe{ctx: ctx, pipe: db.blocking.Pipeline()}
}

func (p *Pipe) send(cmd redis.Cmder) { _ = p.pipe.Process(p.ctx, cmd) }

// Len is how many commands wait for Run.
func (p *Pipe) Len() int { return p.pipe.Len() }

// Run sends the commands and fills their replies. It returns the error of the first command that
// failed. Each reply has its own error.
func (p *Pipe) Run() error {
	cmds, err := p.pipe.Exec(p.ctx)
	if p.bare != nil && isAborted(err) {
		for _, cmd := range cmds {
			cmd.SetErr(nil)
			_ = p.bare.Process(p.ctx, cmd)
		}
		cmds, err = p.bare.Exec(p.ctx)
	}
	if !errors.Is(err, errTaken) {
		return err
	}
	for _, cmd := range cmds {
		if err := cmd.Err(); err != nil && !errors.Is(err, errTaken) {
			return err
		}
	}
	return nil
}

// Cmd is a command with a list of arguments after its key.
func Cmd(name, key string, more ...string) []any {
	args := make([]any, 0, 2+len(more))
	args = append(args, name, key)
	for _, m := range more {
		args = append(args, m)
	}
	return args
}

// run sends a command. On a cluster it goes to the master of its key. That is the first argument,
// except in the commands listed here.
func run(c Conn, cmd redis.Cmder) {
	args := cmd.Args()
	switch args[0] {
	case "XREADGROUP":
		cmd.SetFirstKeyPos(int8(slices.Index(args, any("STREAMS")) + 1))
	case "XINFO", "MEMORY":
		cmd.SetFirstKeyPos(2)
	case "PUBLISH": // to the node where the listeners are
		cmd.SetFirstKeyPos(1)
	}
	c.send(cmd)
}
