package push

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
)

const (
	// headerTest marks a push that Try made.
	headerTest = "Medis-Test"
	// Of the header of an answer so many fields are shown, and so many bytes of each value.
	fieldsShown, fieldShown = 50, 1 << 10
)

// Try makes one attempt at a message as the scheduler would, on a new connection, at the first worker URL for the environment, and
// shows what went out and came back. The header medis-test marks it. The whole answer is read, a 2xx's too. It counts nowhere:
// breaker, statistics and records do not hear of it. It ends at the subscription's timeout, or with ctx. The error is
// ErrNoTarget.
func Try(ctx context.Context, client *http1.Client, sub *medispatcher.Subscription, d *medispatcher.Delivery, env, agent string) (medispatcher.Trial, error) {
	s := newSettings(sub, env)
	start := time.Now()
	t := s.ways().targets.pick(start)
	if t == nil {
		return medispatcher.Trial{}, ErrNoTarget
	}
	if s.ways().err == nil {
		s.ways().head, s.ways().err = http1.AppendField(s.ways().head, headerTest, "1")
	}
	req := new(request) // what is shown shares its memory
	snd := client.Sender(ctx)
	defer snd.Release()
	b, err := newPoster(agent).compose(req, s, d, t, start)
	r := result{target: t.redacted, secrets: s.ways().secrets, batch: req.messages(b)}
	var a http1.Answer
	if err == nil {
		if req.Fresh = true; !req.KeepOK {
			req.Keep, req.KeepOK = medispatcher.TrialText+1, true
		}
		a, err = snd.Post(&req.Request, start.Add(time.Duration(sub.Timeout)))
		r.judgeOne(s, b, &a, err)
	}
	r.broke(s, err)
	out := medispatcher.Trial{
		Request: shown(s, t, &req.Request), Accepted: r.accepted, Status: r.status, Problem: r.problem(),
		TookMS: float64(time.Since(start).Microseconds()) / 1000,
	}
	out.ShowBody()
	secrets := s.ways().secrets
	out.Answer, out.Headers = secrets.hide(medispatcher.CutText(string(a.Body), medispatcher.TrialText)), shownHeader(sub, &a, secrets)
	switch {
	case r.cut:
		out.Problem = "it was stopped before the answer was there"
	case r.accepted && r.err != nil:
		out.Problem = "the answer's body is not whole (" + r.err.Error() + "), which a dispatcher does not wait for"
	}
	out.Problem = secrets.hide(out.Problem)
	return out, nil
}

// messages is how many messages a request holds as a batch; 0: it is none.
func (r *request) messages(b *batch) int {
	if b == nil {
		return 0
	}
	return len(b.jobs)
}

// judgeOne is judge, or judgeBatch for a batch of one message.
func (r *result) judgeOne(s *settings, b *batch, a *http1.Answer, err error) {
	if b == nil {
		r.judge(s, a, err)
		return
	}
	r.judgeBatch(b, a, err)
	if own := b.jobs[0].own; own != nil {
		*r = *own
	}
}

// shownHeader is the header of an answer as people may see it, sorted by name.
func shownHeader(sub *medispatcher.Subscription, a *http1.Answer, secrets *secrets) (fields []medispatcher.HeaderField) {
	header := a.Header()
	for _, name := range slices.Sorted(maps.Keys(header)) {
		for _, value := range header[name] {
			if len(fields) == fieldsShown {
				return fields
			}
			switch {
			case name == "Location":
				value = shownLocation(value)
			case sub.SecretHeader(name):
				value = medispatcher.Mask
			}
			fields = append(fields, medispatcher.HeaderField{Name: name, Value: secrets.hide(medispatcher.CutText(value, fieldShown))})
		}
	}
	return fields
}
