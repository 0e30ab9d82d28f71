package main

import (
	"context"
	"fmt"
	"time"

	"github.com/hibiken/asynq"
)

// check is how often asynq looks for tasks while its queue is empty. Its default of a second would be
// most of its latency.
const check = 20 * time.Millisecond

// runAsynq has one server for all subscriptions, whose tasks are told apart by their types.
func runAsynq(ctx context.Context, l *load, ready func()) error {
	send := netHTTP(l.inFlight(), l.Timeout)
	server := asynq.NewServer(asynq.RedisClientOpt{Addr: l.Redis, PoolSize: l.inFlight()}, asynq.Config{
		Concurrency: l.inFlight(), TaskCheckInterval: check, LogLevel: asynq.WarnLevel,
	})
	mux := asynq.NewServeMux()
	for i, url := range l.URLs {
		mux.HandleFunc(taskType(i), func(_ context.Context, task *asynq.Task) error { return send(url, task.Payload()) })
	}
	if err := server.Start(mux); err != nil {
		return err
	}
	ready()
	<-ctx.Done()
	server.Shutdown()
	return nil
}

func taskType(i int) string { return fmt.Sprint("push:", i) }

// asynqPublisher adds a task for each subscription: asynq has no fan-out.
func asynqPublisher(l *load) (func(context.Context, []byte) error, error) {
	client := asynq.NewClient(asynq.RedisClientOpt{Addr: l.Redis})
	return func(ctx context.Context, body []byte) error {
		for i := range l.URLs {
			if _, err := client.EnqueueContext(ctx, asynq.NewTask(taskType(i), body)); err != nil {
				return err
			}
		}
		return nil
	}, nil
}
