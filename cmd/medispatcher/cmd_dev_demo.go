package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/panel"
)

// The sample receiver gets a message each second, and prints the first ones, so that the banner stays in sight. The
// rest of the demonstration shows only in the panel.
const (
	demoEvery      = time.Second
	demoTick       = "demo.tick"
	demoTicksShown = 3
)

// demoSubscriptions are healthy. With failures there is one whose worker fails now and then, a paused one, and
// one whose worker is down for good.
func demoSubscriptions(failures bool) []struct{ id, doc string } {
	list := []struct{ id, doc string }{
		{"billing", `{"topic":"order.*","urls":["%s/quick"],"concurrency":16}`},
		{"mailer", `{"topic":"order.created","urls":["%s/quick"]}`},
		{"warehouse", `{"topic":"order.paid","urls":["%s/quick"]}`},
	}
	if failures {
		list[1].doc = `{"topic":"order.created","urls":["%s/shaky"],"max_retries":1,"retry_coefficient":"1s","timeout":"2s"}`
		list[2].doc = `{"topic":"order.paid","urls":["%s/quick"],"paused":true}`
		list = append(list, struct{ id, doc string }{"legacy-crm", `{"topic":"order.cancelled","urls":["%s/down"],"max_retries":4,"retry_coefficient":"5s"}`})
	}
	return list
}

// runDemo adds subscriptions and a trickle of messages.
func runDemo(ctx context.Context, s *state, recv *receiver, failures bool) error {
	ctx = medispatcher.WithActor(ctx, "dev --demo")
	doc := fmt.Sprintf(`{"topic":"demo.>","urls":[%q]}`, recv.url())
	if _, _, _, err := s.registry.Put(ctx, "demo", []byte(doc), ""); err != nil {
		return err
	}
	base, stop, err := demoWorker(ctx)
	if err != nil {
		return err
	}
	defer stop()
	for _, sub := range demoSubscriptions(failures) {
		if _, _, _, err := s.registry.Put(ctx, sub.id, fmt.Appendf(nil, sub.doc, base), ""); err != nil {
			return err
		}
	}
	tick := time.NewTicker(demoEvery)
	defer tick.Stop()
	for n := 1; ; n++ {
		m := medispatcher.Message{Topic: demoTick, Body: fmt.Appendf(nil, `{"tick":%d,"at":%q}`, n, time.Now().Format(time.TimeOnly)), Sender: "demo"}
		if _, err := s.store.Publish(ctx, m); err != nil {
			return err
		}
		if err := demoOrders(ctx, s, n); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// demoOrders publishes the orders of one second. Their number rises and falls.
func demoOrders(ctx context.Context, s *state, n int) error {
	topics := []string{"order.created", "order.paid", "order.created", "order.shipped", "order.cancelled"}
	for i := range 3 + n/10%4 + rand.IntN(4) { //nolint:gosec // a demonstration
		topic := topics[i%len(topics)]
		if topic == "order.cancelled" && n%5 != 0 {
			continue
		}
		m := medispatcher.Message{Topic: topic, Body: fmt.Appendf(nil, `{"order":%d,"total":"%d.90","customer":{"name":"Ada","city":"Zürich"}}`, 1000*n+i, 10+i), Sender: "demo-shop"}
		if _, err := s.store.Publish(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// demoWorker runs the workers of demoSubscriptions. They print nothing.
func demoWorker(ctx context.Context) (base string, stop func(), err error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("the demonstration cannot listen: %w", err)
	}
	began := time.Now()
	mux := http.NewServeMux()
	mux.HandleFunc("/quick", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		time.Sleep(time.Duration(1+rand.IntN(20)) * time.Millisecond) //nolint:gosec // a demonstration
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("/shaky", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if time.Since(began)%(2*time.Minute) < 12*time.Second {
			http.Error(w, `{"error":"mail server refuses: 451 greylisted"}`, http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusOK)
	})
	mux.HandleFunc("/down", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "upstream connect error: connection refused", http.StatusBadGateway)
	})
	server := panel.Server("", mux)
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			_ = l.Close()
		}
	}()
	return "http://" + l.Addr().String(), func() { _ = server.Close() }, nil
}
