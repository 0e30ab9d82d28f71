package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/solate/medispatcher/bench/internal/proc"
	"github.com/solate/medispatcher/cmd/medispatcher/loadtest"
)

// pause is how long what was done gets to be written down, before processes are asked what they used.
const pause = 100 * time.Millisecond

// look is how often arrivals are counted.
const look = 20 * time.Millisecond

// setting is what a measurement is made with.
type setting struct {
	options
	method
	dir  string // for what is thrown away
	cert string // of the receiver; empty: no TLS
	key  string
}

// rig is what one measurement runs on: a Redis, a receiver and the system, all new.
type rig struct {
	setting
	idle     int      // subscriptions
	filter   string   // of the others
	env      []string // more variables of the system
	load     load
	redis    *proc.Process
	receiver *receiver
	system   *proc.Process
}

// build starts everything for messages, and some more to warm up with.
func build(ctx context.Context, s setting, sys *system, messages int) (r *rig, err error) {
	r = &rig{setting: s, idle: sys.idle, filter: sys.filter, env: sys.env}
	defer func() {
		if err != nil {
			r.stop()
		}
	}()
	plan := loadtest.Plan{
		Messages: s.warm() + messages, Subscribers: s.subscribers, Concurrency: s.concurrency, Size: s.size,
		Answer: s.answer, Wait: patience, Batch: sys.batch,
	}
	r.load = load{Plan: plan, Run: plan.NewRun(), Began: time.Now(), Stream: incoming, Timeout: s.timeout, Cert: s.cert, Key: s.key}
	r.load.Sample = string(loadtest.Body(r.load.Run.Run, 0, 0, s.size))
	if sys.queue {
		if err := r.startRedis(ctx); err != nil {
			return r, err
		}
	}
	if r.receiver, err = startReceiver(ctx, r.load); err != nil {
		return r, err
	}
	for _, id := range r.load.Run.IDs() {
		r.load.URLs = append(r.load.URLs, r.receiver.work+"/"+id)
	}
	if sys.prepare != nil {
		if err := sys.prepare(ctx, r); err != nil {
			return r, err
		}
	}
	r.system, err = proc.Start(ctx, sys.command(ctx, r), sys.ready)
	return r, err
}

func (r *rig) startRedis(ctx context.Context) (err error) {
	r.redis, r.load.Redis, err = proc.StartRedis(ctx, r.dir)
	return err
}

func (r *rig) stop() {
	if r.system != nil {
		r.system.Stop()
	}
	if r.receiver != nil {
		r.receiver.Stop()
	}
	if r.redis != nil {
		r.redis.Stop()
	}
	files, _ := filepath.Glob(filepath.Join(r.dir, "redis*"))
	for _, f := range files {
		_ = os.RemoveAll(f) // dir itself goes at the end
	}
}

// processes are those whose use is measured: the system, Redis, the receiver. Redis may be nil.
func (r *rig) processes() [3]*proc.Process {
	return [3]*proc.Process{r.system, r.redis, r.receiver.Process}
}

func (r *rig) used() (all [3]proc.Usage, err error) {
	for i, p := range r.processes() {
		if p != nil {
			var failed error
			all[i], failed = proc.Used(p.Cmd.Process.Pid)
			err = errors.Join(err, failed)
		}
	}
	return all, err
}

// check is an error when a process has ended.
func (r *rig) check() (err error) {
	for _, p := range r.processes() {
		if p != nil {
			err = errors.Join(err, p.Check())
		}
	}
	return err
}

// patience is how long nothing may arrive.
const patience = 15 * time.Second

// wait waits until want deliveries have arrived.
func (r *rig) wait(ctx context.Context, want int) (a arrivals, err error) {
	progress, since := int64(-1), time.Now()
	for {
		if a, err = r.receiver.stats(ctx); err != nil {
			return a, errors.Join(r.check(), err)
		}
		if a.Arrived >= int64(want) {
			return a, nil
		}
		if a.Arrived != progress {
			progress, since = a.Arrived, time.Now()
		}
		if err := r.check(); err != nil {
			return a, err
		}
		if time.Since(since) > patience {
			return a, fmt.Errorf("%d of %d deliveries arrived, and for %s none; %s wrote:\n%s", a.Arrived, want, patience, r.system.Name(), r.system.Said())
		}
		select {
		case <-ctx.Done():
			return a, ctx.Err()
		case <-time.After(look):
		}
	}
}
