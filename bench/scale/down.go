package main

import (
	"context"
	"fmt"
	"time"

	"github.com/solate/medispatcher/bench/internal/proc"
	"github.com/solate/medispatcher/streams"
)

var down = row{"down", "5,000 subscriptions with messages, and nobody listens where all of them push to", func(ctx context.Context, s *site) ([]figure, error) {
	return measureDown(ctx, s, 5_000)
}}

const (
	// downEach is how many messages each subscription has: so many failures open its breaker.
	downEach   = 10
	downWithin = 5 * time.Minute
)

// measureDown measures a dispatcher whose breakers are all open on one target.
func measureDown(ctx context.Context, s *site, subs int) ([]figure, error) {
	if err := s.startRedis(ctx); err != nil {
		return nil, err
	}
	store, err := s.open(1)
	if err != nil {
		return nil, err
	}
	defer func() { _ = store.Close() }()
	if err := s.subscribe(ctx, store, subs, "http://127.0.0.1:9/", 8); err != nil {
		return nil, err
	}
	p, err := s.serve(ctx, s.addr, 1)
	if err != nil {
		return nil, err
	}
	if err := s.write(ctx, subs*downEach, func(i int) int { return i % subs }, nil); err != nil {
		return nil, err
	}
	for end := time.Now().Add(downWithin); ; {
		held, err := heldTotal(ctx, store)
		if err != nil {
			return nil, err
		}
		if held == subs {
			break
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("%d of %d breakers are open after %s", held, subs, downWithin)
		}
		if err := pause(ctx, time.Second); err != nil {
			return nil, err
		}
	}
	opening, dispatchers := p.Warned(), []*proc.Process{p}
	if err := pause(ctx, settleFor); err != nil {
		return nil, err
	}
	warned := p.Warned()
	before, err := s.used(ctx, dispatchers)
	if err != nil {
		return nil, err
	}
	had, err := s.commands(ctx)
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, idleFor); err != nil {
		return nil, err
	}
	after, err := s.used(ctx, dispatchers)
	if err != nil {
		return nil, err
	}
	has, err := s.commands(ctx)
	if err != nil {
		return nil, err
	}
	tellCommands(had, has)
	core := float64(idleFor.Microseconds()) / 100
	return []figure{
		{what: "CPU of the dispatcher", value: (after.dispatcher - before.dispatcher) / core, unit: "% of a core", most: 10},
		{what: "CPU of Redis", value: (after.redis - before.redis) / core, unit: "% of a core", most: 10},
		{what: "commands", value: float64(total(has)-total(had)) / idleFor.Seconds(), unit: "/s"},
		{what: "warnings until all breakers were open", value: float64(opening), unit: "lines", most: 200},
		{what: "warnings since then", value: float64(p.Warned()-warned) / idleFor.Minutes(), unit: "lines/min", most: 20},
	}, nil
}

// heldTotal is how many breakers are open, as the dispatchers tell.
func heldTotal(ctx context.Context, store *streams.Store) (n int, err error) {
	all, err := store.Dispatchers(ctx)
	for i := range all {
		n += all[i].HeldTotal
	}
	return n, err
}
