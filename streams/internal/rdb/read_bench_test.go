package rdb_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/entry"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// BenchmarkReadGroup reads 128 copies with bodies of 256 bytes from a connection that costs nothing,
// and as go-redis makes values of them.
func BenchmarkReadGroup(b *testing.B) {
	body := strings.Repeat("x", 256)
	layouts := map[string][]any{
		"fields": {"time", "1700000000000", "topic", "order.created", "body", body, "~src", "1700000000000-0"},
		"whole":  {"m", "topic order.created\nsrc 1700000000000-0\n\n" + body},
	}
	for layout, fields := range layouts {
		var entries []any
		for i := range 128 {
			entries = append(entries, []any{fmt.Sprint("1700000000000-", i), fields})
		}
		answer := resp([]any{[]any{"medis:{0}:ch:s", entries}})
		for name, read := range map[string]func(*rdb.DB, []medispatcher.Delivery) []medispatcher.Delivery{"values": readValues, "cursor": readCursor} {
			b.Run(layout+"/"+name, func(b *testing.B) {
				db := rdb.OpenConn(func() net.Conn { return &canned{answer: answer} })
				list := make([]medispatcher.Delivery, 0, 128)
				b.ReportAllocs()
				for b.Loop() {
					if list = read(db, list[:0]); len(list) != 128 {
						b.Fatalf("%d deliveries", len(list))
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*128), "ns/message")
			})
		}
	}
}

var readArgs = []any{"XREADGROUP", "GROUP", "push", "me", "COUNT", 128, "STREAMS", "medis:{0}:ch:s", ">"}

func readCursor(db *rdb.DB, list []medispatcher.Delivery) []medispatcher.Delivery {
	take := func(e rdb.Entry) { list = append(list, entry.Delivery(medispatcher.Channel{}, e.ID, 1, e.Fields)) }
	_ = rdb.ReadGroup(db.With(context.Background()), take, readArgs...).Val()
	return list
}

func readValues(db *rdb.DB, list []medispatcher.Delivery) []medispatcher.Delivery {
	cmd := redis.NewCmd(context.Background(), readArgs...)
	_ = db.Client().Process(context.Background(), cmd)
	streams, _ := cmd.Slice()
	stream, _ := streams[0].([]any)
	entries, _ := stream[1].([]any)
	for _, e := range entries {
		pair, _ := e.([]any)
		id, _ := pair[0].(string)
		fields, _ := pair[1].([]any)
		list = append(list, delivery(medispatcher.Channel{}, id, 1, fields))
	}
	return list
}
