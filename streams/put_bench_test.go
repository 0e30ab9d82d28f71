package streams_test

import (
	"fmt"
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// BenchmarkPutAll puts 10,000 subscriptions, first new ones, and then the same with a change.
func BenchmarkPutAll(b *testing.B) {
	env := streamstest.Real(b)
	registry := streams.NewRegistry(env.Open(b, env.Config("me")), streamstest.Rules(), nil)
	for i := 0; b.Loop(); i++ {
		puts := make([]medispatcher.SubscriptionPut, 10_000)
		for s := range puts {
			doc := fmt.Sprintf(`{"topic":"order.t%d.*","urls":["http://billing.internal:8080/hook/%d"],"timeout":"5s","concurrency":%d,"headers":{"X-Team":"blue"}}`, s, s, 1+i%8)
			puts[s] = medispatcher.SubscriptionPut{ID: fmt.Sprintf("sub-%d", s), Document: []byte(doc)}
		}
		for _, done := range registry.PutAll(b.Context(), puts) {
			if done.Err != nil {
				b.Fatal(done.Err)
			}
		}
	}
}
