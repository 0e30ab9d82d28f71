package publish

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// ErrUnread says that no dispatcher reads what would be published.
var ErrUnread = errors.New("no dispatcher reads the last partition")

// Check reports whether Redis answers and dispatchers read every partition. Call it at the start of a
// program: what goes to a partition that nobody reads is not delivered until somebody does. The error
// is ErrUnread, wrapped, or that of Redis.
func (p *Publisher) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.o.Timeout)
	defer cancel()
	stream := p.incoming(p.o.Partitions - 1)
	there, err := p.o.Redis.Exists(ctx, stream).Result()
	var groups []redis.XInfoGroup
	if err == nil && there > 0 { // XINFO has no code for a missing key
		groups, err = p.o.Redis.XInfoGroups(ctx, stream).Result()
	}
	if err != nil {
		return fmt.Errorf("publish: cannot look at %s: %w", stream, err)
	}
	for _, g := range groups {
		if g.Name == "fanout" {
			return nil
		}
	}
	return fmt.Errorf("publish: %w, %s: start one, or compare Prefix and Partitions (%d) with MEDIS_KEY_PREFIX and MEDIS_PARTITIONS", ErrUnread, stream, p.o.Partitions)
}
