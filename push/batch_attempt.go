package push

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
)

// attemptBatch makes one HTTP attempt at the messages of a batch; see attempt. Before anything is sent, keep is told how many of
// them fit, and takes the others out. What the attempt came to for a single message, if that differs, is in its job.
func (p *poster) attemptBatch(snd *http1.Sender, b *batch, keep func(n int)) (r result) {
	s, start := b.settings, time.Now()
	t := b.leave.pick(s, start)
	if t == nil {
		return r
	}
	r.target, r.to, r.secrets = t.redacted, t, s.ways().secrets
	req := requests.Get().(*request)
	ended := false
	var packed packed
	defer func() {
		if v := recover(); v != nil {
			packed.end(&result{err: errPanicked})
			r.survive(medispatcher.Recovered(v), ended) // the memory of req may still be in use
		} else {
			packed.end(&r)
			req.release()
		}
		r.finish(s, t, start, ended)
		for _, j := range b.jobs {
			if j.own != nil {
				j.own.ended, j.own.took = r.ended, r.took
			}
		}
	}()
	packed = p.pack(req, b, t)
	keep(packed.jobs)
	if packed.sent == 0 {
		return result{err: errNothing}
	}
	r.batch = packed.sent
	err := req.buildBatch(s, t, b, packed.sent, p.agent, start)
	if err == nil {
		var a http1.Answer
		req.Fresh, req.Made = b.leave.probe, b.leave.made
		a, err = snd.Post(&req.Request, start.Add(time.Duration(s.sub.Timeout)))
		if unknown := r.judgeBatch(b, &a, err); unknown != "" && p.mayWarn(s.sub.ID) {
			p.log.Warn("a worker lists a message as failed that was not in its batch: ignored", "subscription", s.sub.ID, "id", unknown)
		}
	}
	r.broke(s, err)
	ended = true
	return r
}

// errNothing is what a batch comes to that has no message which can be sent: each came to something of its own.
var errNothing = errors.New("no message of the batch can be sent")

// buildBatch makes the request of an attempt at a batch that is packed. It has no headers of a single message.
func (r *request) buildBatch(s *settings, t *target, b *batch, sent int, agent string, now time.Time) error {
	r.To, r.Body, r.err = t.to, r.pack, s.ways().err
	r.Keep, r.KeepOK = batchAnswer(sent)+1, true
	if err := r.begin(s, t, nil, agent); err != nil {
		return err
	}
	r.identify(s, batchID(b), batchType(s), now)
	r.count(headerBatch, int64(sent))
	r.Head = r.head
	return r.err
}

// batchType is the content type of a subscription's batches.
func batchType(s *settings) string {
	switch {
	case s.events():
		return eventBatchType
	case s.sub.Batch.Format == medispatcher.BatchArray:
		return medispatcher.DefaultType
	}
	return "application/x-ndjson"
}

// batchID is the webhook-id of a batch. The same messages in the same order always have the same one.
func batchID(b *batch) string {
	sum := sha256.New()
	for _, j := range b.jobs {
		if j.own == nil {
			sum.Write(append([]byte(j.Message.WebhookID()), '\n'))
		}
	}
	return "batch-" + hex.EncodeToString(sum.Sum(nil)[:16])
}
