package push

import (
	"cmp"
	"maps"
	"net/http"
	"net/textproto"
	"strings"

	"github.com/solate/medispatcher"
)

// packed is what became of the messages of a batch before they are sent.
type packed struct {
	jobs  int // how many of them, from the first one, this batch is for
	sent  int // how many of these are in its body: reading or packing the others panicked
	spans []span
}

// span is the span of an attempt at one message.
type span struct {
	job *job
	end func(status int, problem string)
}

// end ends the spans.
func (p *packed) end(r *result) {
	for _, s := range p.spans {
		came := r
		if s.job.own != nil {
			came = s.job.own
		}
		s.end(came.status, came.problem())
	}
}

// traceRoom is how many bytes a span may add to a message.
const traceRoom = 128

// pack makes the body of a batch, within its bytes. One message is always in it, however large.
func (p *poster) pack(req *request, b *batch, t *target) (done packed) {
	s := b.settings
	before, behind, end := "", "\n", ""
	if s.events() || s.sub.Batch.Format == medispatcher.BatchArray {
		before, behind, end = "[", ",", "]"
	}
	add := appendPacked
	if s.events() {
		add = appendEvent
	}
	most := int(s.sub.Batch.Bytes)
	if p.tracer != nil {
		most -= traceRoom * len(b.jobs)
	}
	body, fits := append(req.pack[:0], before...), true
	var without *job // the first of the run of the last message that could not be packed
	for _, j := range b.jobs {
		d, from := &j.Delivery, len(body)
		j.own = nil
		if without != nil && j.first == without {
			j.own = &result{cut: true} // it goes nowhere before that one
			done.jobs++
			continue
		}
		broken := d.Broken
		if broken == nil {
			broken = medispatcher.Guard(func() {
				headers := p.packedHeaders(d)
				body = add(body, d, headers)
				fits = done.sent == 0 || len(body)+len(behind) <= most
				if fits && p.tracer != nil {
					body = add(body[:from], d, p.trace(&done, j, t, headers))
				}
			})
		}
		if broken != nil {
			body = body[:from]
			j.own = &result{}
			j.own.survive(broken, false)
			without = cmp.Or(j.first, j)
		} else if !fits {
			body = body[:from]
			break
		} else {
			body = append(body, behind...)
			done.sent++
		}
		done.jobs++
	}
	if done.sent > 0 && end != "" {
		body = append(body[:len(body)-len(behind)], end...)
	}
	req.pack = body
	return done
}

// packedHeaders are the headers of a message that go out with it in a batch, under the names that its producer gave them.
func (p *poster) packedHeaders(d *medispatcher.Delivery) map[string]string {
	var ignored []string
	for name := range d.Message.Headers {
		if medispatcher.ReservedHeader(name) {
			ignored = append(ignored, name)
		}
	}
	if ignored == nil {
		return d.Message.Headers
	}
	p.warnHeaders(d, ignored)
	headers := maps.Clone(d.Message.Headers)
	for _, name := range ignored {
		delete(headers, name)
	}
	return headers
}

// trace begins the span of an attempt at one message of a batch. It returns the headers of the message with what its
// subscriber needs to continue the trace.
func (p *poster) trace(to *packed, j *job, t *target, headers map[string]string) map[string]string {
	h, _ := allowed(headers)
	if h == nil {
		h = http.Header{}
	}
	to.spans = append(to.spans, span{j, p.tracer.Attempt(&j.Delivery, t.redacted, h)})
	given := make(map[string]string, len(headers))
	for name := range headers {
		given[textproto.CanonicalMIMEHeaderKey(name)] = name
	}
	traced := make(map[string]string, len(h))
	for name, values := range h {
		as := given[name]
		if as == "" {
			as = strings.ToLower(name)
		}
		traced[as] = values[0]
	}
	return traced
}
