package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/loadtest"
	"github.com/solate/medispatcher/streams"
)

const secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

// dispatcher is medispatcher, the binary at this path.
func dispatcher(name, path string) system {
	return system{
		name: name, label: name, binary: path, product: true, queue: true, ready: "subscriptions in force",
		prepare: subscribe,
		command: func(ctx context.Context, r *rig) *exec.Cmd {
			cmd := exec.CommandContext(ctx, path, "serve")
			cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "MEDIS_") })
			cmd.Env = append(cmd.Env, "MEDIS_REDIS_URL=redis://"+r.load.Redis, "MEDIS_LISTEN=127.0.0.1:0", "MEDIS_LOG_FORMAT=json")
			if r.all {
				cmd.Env = append(cmd.Env, "MEDIS_ALERT_URLS=generic+"+r.receiver.work+"/alert")
			}
			cmd.Env = append(append(cmd.Env, r.load.env()...), r.env...)
			return cmd
		},
		publish: publish,
	}
}

// publish adds messages to the incoming stream.
func publish(ctx context.Context, r *rig, all span) error {
	plan := r.load.Plan
	plan.Messages, plan.Rate = all.To, all.Rate
	store, err := open(r)
	if err != nil {
		return err
	}
	publisher := loadtest.Publisher{Plan: plan, Run: r.load.Run, Store: store, First: all.From, Began: r.load.Began}
	return errors.Join(publisher.Publish(ctx), store.Close())
}

func open(r *rig) (*streams.Store, error) {
	return streams.Open(streams.Config{URL: "redis://" + r.load.Redis, Prefix: "medis", Partitions: 1, ID: "bench"})
}

// subscribe makes the subscriptions of the run, and idle ones beside them.
func subscribe(ctx context.Context, r *rig) error {
	store, err := open(r)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	rules := medispatcher.Rules{
		Defaults: medispatcher.DefaultSubscription(),
		Max:      medispatcher.Subscription{Concurrency: 10_000, RetryConcurrency: 100, Timeout: medispatcher.Duration(time.Minute)},
	}
	registry := streams.NewRegistry(store, rules, nil)
	if !r.all {
		return loadtest.Subscribe(ctx, registry, rules, r.load.Run, r.load.Plan, r.receiver.work)
	}
	put := func(id, topic, url, secret string) error {
		fields := map[string]any{"topic": topic, "urls": []string{url}, "concurrency": r.load.Plan.Concurrency, "secret": secret}
		if size := r.load.Plan.Batch; size > 1 { // an earlier version does not know the field
			fields["batch"] = map[string]any{"size": size}
		}
		if r.filter != "" {
			fields["filter"] = r.filter
		}
		doc, err := json.Marshal(fields)
		if err != nil {
			return err
		}
		_, _, _, err = registry.Put(ctx, id, doc, "")
		return err
	}
	for i, id := range r.load.Run.IDs() {
		signed := ""
		if i == 0 {
			signed = secret
		}
		if err := put(id, r.load.Run.Topic(), r.load.URLs[i], signed); err != nil {
			return err
		}
	}
	for i := range r.idle {
		if err := put(fmt.Sprintf("idle-%d", i), "idle", r.receiver.work, ""); err != nil {
			return err
		}
	}
	return nil
}
