package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/solate/medispatcher/cmd/medispatcher/loadtest"
)

// bareLoop is the limit: workers with one net/http client post messages to their subscriptions. No
// queue is behind it. Each line that it reads is a span to post.
func bareLoop(l load) error {
	workers := l.Plan.Concurrency * l.Plan.Subscribers
	b := &bare{
		load: l, workers: workers,
		client: &http.Client{
			Transport: &http.Transport{MaxIdleConnsPerHost: workers, MaxIdleConns: workers},
			Timeout:   l.Timeout,
		},
	}
	for n := range l.Plan.Messages {
		b.bodies = append(b.bodies, loadtest.Body(l.Run.Run, n, time.Since(l.Began), l.Plan.Size))
	}
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		s, err := parseSpan(lines.Text())
		if err != nil {
			return err
		}
		post := b.postAll
		if s.Rate > 0 {
			post = b.postInTime
		}
		if err := post(s); err != nil {
			return err
		}
	}
	return lines.Err()
}

type bare struct {
	load
	workers int
	client  *http.Client
	bodies  [][]byte
}

// postAll posts as fast as possible.
func (b *bare) postAll(s span) error {
	var next atomic.Int64
	subs := len(b.URLs)
	var g errgroup.Group
	for range b.workers {
		g.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				n := s.From + i/subs
				if n >= s.To {
					return nil
				}
				if err := b.post(b.URLs[i%subs], b.bodies[n]); err != nil {
					return err
				}
			}
		})
	}
	return g.Wait()
}

// postInTime posts at a rate. A message is published when a worker is told to post it.
func (b *bare) postInTime(s span) error {
	type job struct {
		url  string
		body []byte
	}
	jobs := make(chan job, b.workers)
	var g errgroup.Group
	for range b.workers {
		g.Go(func() error {
			for j := range jobs {
				if err := b.post(j.url, j.body); err != nil {
					return err
				}
			}
			return nil
		})
	}
	began := time.Now()
	for n := s.From; n < s.To; n++ {
		time.Sleep(time.Until(began.Add(time.Duration(n-s.From) * time.Second / time.Duration(s.Rate))))
		body := loadtest.Body(b.Run.Run, n, time.Since(b.Began), b.Plan.Size)
		for _, url := range b.URLs {
			jobs <- job{url, body}
		}
	}
	close(jobs)
	return g.Wait()
}

func (b *bare) post(url string, body []byte) error {
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body)) //nolint:noctx // the client has a timeout
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := b.client.Do(req)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}
