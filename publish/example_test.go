package publish_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher/publish"
)

// startRedis stands for the Redis of the dispatchers.
func startRedis() (addr string, stop func()) {
	m, err := miniredis.Run()
	if err != nil {
		panic(err)
	}
	return m.Addr(), m.Close
}

func Example() {
	addr, stop := startRedis()
	defer stop()

	p, err := publish.Dial("redis://" + addr) // the MEDIS_REDIS_URL of the dispatchers
	if err != nil {
		panic(err)
	}
	defer func() { _ = p.Close() }()
	r, err := p.Publish(context.Background(), publish.Message{
		Topic: "order.created",
		Body:  []byte(`{"order":42}`),
		ID:    "order-42-created", // publishing it again does no harm
		Key:   "customer-7",       // its partition
	})
	if err != nil {
		panic(err) // not published
	}
	fmt.Println(r.ID)
	// Output: order-42-created
}

// A program that has a client of go-redis already gives that. The two settings matter: see the package.
func ExampleNew() {
	addr, stop := startRedis()
	defer stop()
	client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, ContextTimeoutEnabled: true})
	defer func() { _ = client.Close() }()

	p, err := publish.New(publish.Options{Redis: client, RecoverList: "shop"})
	if err != nil {
		panic(err)
	}
	r, err := p.Publish(context.Background(), publish.Message{Topic: "order.created", ID: "order-42-created"})
	if err != nil {
		panic(err) // neither published nor parked
	}
	fmt.Println(r.ID, r.Parked)
	// Output: order-42-created false
}

// Many messages take one round trip.
func ExamplePublisher_PublishAll() {
	addr, stop := startRedis()
	defer stop()
	p, err := publish.Dial("redis://" + addr)
	if err != nil {
		panic(err)
	}
	defer func() { _ = p.Close() }()

	results, err := p.PublishAll(context.Background(), []publish.Message{
		{Topic: "order.created", ID: "a", Body: []byte(`{"order":42}`)},
		{Topic: "order.*", ID: "b", Body: []byte(`{"order":43}`)},
		{Topic: "order.paid", ID: "c", Body: []byte(`{"order":41}`)},
	})
	fmt.Println(err)
	for _, r := range results {
		fmt.Println(r.ID, r.Err == nil)
	}
	// Output:
	// 1 of 3 messages failed; the first, at index 1: publish: the message is wrong: topic: "order.*": level "*" may hold only A-Z a-z 0-9 _ -
	// a true
	//  false
	// c true
}

// A program that starts before the dispatchers, or with other settings than theirs, hears of it at once.
func ExamplePublisher_Check() {
	addr, stop := startRedis()
	defer stop()
	p, err := publish.Dial("redis://" + addr)
	if err != nil {
		panic(err)
	}
	defer func() { _ = p.Close() }()

	err = p.Check(context.Background())
	fmt.Println(errors.Is(err, publish.ErrUnread))
	// Output: true
}

// While Redis is away, messages wait in a Redis of their own. The dispatchers, which know it by
// MEDIS_RECOVER_REDIS_URL, publish them from there.
func ExamplePublisher_Publish_parked() {
	beside, stop := startRedis()
	defer stop()

	p, err := publish.New(publish.Options{URL: "redis://127.0.0.1:1", RecoverURL: "redis://" + beside, RecoverList: "shop"})
	if err != nil {
		panic(err)
	}
	defer func() { _ = p.Close() }()
	r, err := p.Publish(context.Background(), publish.Message{Topic: "order.created", Body: []byte(`{"order":42}`)})
	if err != nil {
		panic(err)
	}
	fmt.Println(r.Parked)
	// Output: true
}
