package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	rescue "github.com/solate/medispatcher/recover"
)

// park puts messages into the recover list, all of them or none. If the caller has given up, none are:
// it would not hear of it.
func (b *batch) park(items []item) {
	parked, unknown := false, false
	var err error
	if b.p.o.RecoverList != "" && b.ctx.Err() == nil {
		err = b.push(items)
		parked, unknown = err == nil, isLost(err)
		switch {
		case unknown:
			err = fmt.Errorf("and %s may have it: %w", b.p.recoverKey(), err)
		case err != nil:
			err = fmt.Errorf("and it was not parked in %s: %w", b.p.recoverKey(), err)
		}
	}
	for _, it := range items {
		r := &b.results[it.at]
		if r.Parked = parked; !parked {
			it.err.Parking, it.err.Unknown = err, it.err.Unknown || unknown
			r.Err = it.err
		}
	}
}

func (b *batch) push(items []item) error {
	now := time.Now()
	args := make([]any, len(items))
	for i := range items {
		m := items[i].message
		if m.Time.IsZero() {
			m.Time = now // and not that of moving it
		}
		text, err := json.Marshal(rescue.MessageOf(&m))
		if err != nil {
			return err
		}
		args[i] = text
	}
	ctx, cancel := context.WithTimeout(b.ctx, b.p.o.Timeout)
	defer cancel()
	return b.p.o.RecoverRedis.RPush(ctx, b.p.recoverKey(), args...).Err()
}

func (p *Publisher) recoverKey() string { return p.o.Prefix + ":recover:" + p.o.RecoverList }
