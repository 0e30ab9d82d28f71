package publish_test

import (
	"context"
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
	// Or redis.ParseURL. The two settings matter: see the package.
	client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, ContextTimeoutEnabled: true})
	defer func() { _ = client.Close() }()

	p, err := publish.New(publish.Options{Redis: client, RecoverList: "shop"})
	if err != nil {
		panic(err)
	}
	r, err := p.Publish(context.Background(), publish.Message{
		Topic: "order.created",
		Body:  []byte(`{"order":42}`),
		ID:    "order-42-created", // publishing it again does no harm
		Key:   "customer-7",       // its partition
	})
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
	client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, ContextTimeoutEnabled: true})
	defer func() { _ = client.Close() }()
	p, err := publish.New(publish.Options{Redis: client})
	if err != nil {
		panic(err)
	}

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

// While Redis is away, messages wait in a Redis of their own. The dispatchers, which know it by
// MEDIS_RECOVER_REDIS_URL, publish them from there.
func ExamplePublisher_Publish_parked() {
	beside, stop := startRedis()
	defer stop()
	away := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, ContextTimeoutEnabled: true})
	defer func() { _ = away.Close() }()
	client := redis.NewClient(&redis.Options{Addr: beside, MaxRetries: -1, ContextTimeoutEnabled: true})
	defer func() { _ = client.Close() }()

	p, err := publish.New(publish.Options{Redis: away, RecoverRedis: client, RecoverList: "shop"})
	if err != nil {
		panic(err)
	}
	r, err := p.Publish(context.Background(), publish.Message{Topic: "order.created", Body: []byte(`{"order":42}`)})
	if err != nil {
		panic(err)
	}
	fmt.Println(r.Parked)
	// Output: true
}
