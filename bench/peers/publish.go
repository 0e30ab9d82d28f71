package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

const publishers = 16

// publish publishes a span: "FROM TO RATE", messages from one number to below another, and how many a
// second; 0: as fast as possible.
func publish(ctx context.Context, l *load, span string, open func(*load) (func(context.Context, []byte) error, error)) error {
	var from, to, rate int
	if _, err := fmt.Sscan(span, &from, &to, &rate); err != nil {
		return fmt.Errorf("span %q: %w", span, err)
	}
	one, err := open(l)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	numbers := make(chan int)
	for range publishers {
		g.Go(func() error {
			for n := range numbers {
				if err := one(ctx, l.body(n)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	g.Go(func() error {
		defer close(numbers)
		began := time.Now()
		for n := from; n < to; n++ {
			if rate > 0 {
				time.Sleep(time.Until(began.Add(time.Duration(n-from) * time.Second / time.Duration(rate))))
			}
			select {
			case numbers <- n:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return g.Wait()
}

// body is that of message n, published now: the sample with other digits.
func (l *load) body(n int) []byte {
	b := []byte(l.Sample)
	set := func(name string, value int64) {
		at := strings.Index(l.Sample, `"`+name+`":"`) + len(name) + 4
		digits := strings.IndexByte(l.Sample[at:], '"')
		copy(b[at:], fmt.Sprintf("%0*d", digits, value))
	}
	set("n", int64(n))
	set("at", time.Since(l.Began).Nanoseconds())
	return b
}
