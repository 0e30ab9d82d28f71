package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/solate/medispatcher/cmd/medispatcher/loadtest"
)

// measureLimit posts as many messages as measureDispatcher delivers, with a bare net/http client loop and no queue.
func measureLimit(ctx context.Context, o options) (f figures, err error) {
	p := o.plan()
	l := load{Plan: p, Run: p.NewRun(), Began: time.Now()}
	recv, err := startReceiver(ctx, l)
	if err != nil {
		return f, err
	}
	defer func() { recv.stop() }()
	workers := o.concurrency * o.subscribers
	transport := &http.Transport{MaxIdleConnsPerHost: workers, MaxIdleConns: workers}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	url, payload := recv.url+"/"+l.Run.IDs()[0], loadtest.Body(l.Run.Run, 0, 0, o.size) // all bodies are the same: the receiver's count is not used
	total := o.messages * o.subscribers
	jobs := make(chan struct{}, total)
	for range total {
		jobs <- struct{}{}
	}
	close(jobs)
	cpuBefore, began := ownCPU(), time.Now()
	var g errgroup.Group
	for range workers {
		g.Go(func() error {
			for range jobs {
				if err := post(ctx, client, url, payload); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return f, err
	}
	f.rate = float64(total) / time.Since(began).Seconds()
	f.cpu = ownCPU() - cpuBefore
	f.receiverCPU = recv.stop()
	return f, nil
}

func post(ctx context.Context, client *http.Client, url string, payload []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(payload))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

func ownCPU() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}
