package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/verify"
)

const (
	maxReceived = 512 << 20 // bytes of a body, the max of MEDIS_MAX_BODY
	shownLines  = 5         // of a body
	shownLine   = 160       // bytes of a line
)

// receiver is a sample worker: it takes messages and prints them.
type receiver struct {
	listener net.Listener
	verifier *verify.Verifier // nil: signatures are not checked
	mood     mood

	mu       sync.Mutex // of what follows
	out      io.Writer
	count    int
	briefly  map[string]int // by topic: how many pushes are still printed; others all are
	answered map[string]int // what was answered, as it is printed, and how often
}

// newReceiver listens at once, so that its address is known.
func newReceiver(ctx context.Context, addr string, out io.Writer) (*receiver, error) {
	l, err := listenAt(ctx, addr)
	if err != nil {
		return nil, err
	}
	return &receiver{listener: l, out: out, answered: map[string]int{}}, nil
}

func listenAt(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", addr, err)
	}
	return l, nil
}

func (r *receiver) url() string { return "http://" + r.listener.Addr().String() + "/" }

// describe says what the worker does.
func (r *receiver) describe() string {
	if r.verifier == nil {
		return r.mood.String()
	}
	return r.mood.String() + ", checks signatures"
}

// run serves until ctx ends.
func (r *receiver) run(ctx context.Context) error { return serveUntil(ctx, r.listener, r) }

// serveUntil serves until ctx ends. Requests under way have a second more.
func serveUntil(ctx context.Context, l net.Listener, h http.Handler) error {
	server := panel.Server("", h)
	stop := context.AfterFunc(ctx, func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if server.Shutdown(last) != nil {
			_ = server.Close()
		}
	})
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// ServeHTTP takes a push.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	a := r.judge(w, req)
	if !r.wait(w, req) {
		a.answer, a.reason = "no answer", "the dispatcher hung up: it waits no longer than the timeout of the subscription"
		r.tell(req.Header, a)
		return
	}
	r.tell(req.Header, a) // first: who has the answer can read the line
	if a.text == "" {
		w.WriteHeader(a.status)
		return
	}
	if a.status != http.StatusOK {
		http.Error(w, a.text, a.status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, a.text)
}

// answer is what becomes of a push.
type answer struct {
	status int
	text   string // of the answer
	body   []byte // of the push, as it is shown
	size   string // of its body, as it is printed

	answer string // as it is printed
	note   string // about the signature and the like, as it is printed
	reason string // why it is no success, as it is printed
}

// judge reads a push and decides about the answer.
func (r *receiver) judge(w http.ResponseWriter, req *http.Request) (a answer) {
	defer func() { a.answer = cmp.Or(a.answer, fmt.Sprint(a.status)) }()
	body, err := r.read(w, req)
	if err != nil {
		a.status, a.text, a.reason = verify.Status(err), err.Error(), "refused: "+strings.TrimPrefix(err.Error(), "verify: ")
		return a
	}
	a.body, a.size = body, cli.Counted(int64(len(body)), "byte")
	switch {
	case r.verifier != nil:
		a.note = "signature good"
	case req.Header.Get(verify.HeaderSignature) != "":
		a.note = "signature not checked"
	}
	a.status = http.StatusNoContent
	if form, ok := formOf(req, body); ok { // the protocol of earlier versions has its own success
		a.status, a.text, a.body = http.StatusOK, `{"status":1}`, []byte(form)
	}
	batch := batchOf(req, body)
	a.body = batch.shown(a.body)
	if m := r.mood; m.status != 0 && m.fail == 0 {
		a.status, a.text = m.status, ""
	} else if m.fail > 0 && m.status == 0 && batch != nil {
		if failed := batch.fail(m.fail); failed > 0 {
			a.status, a.text, a.body = http.StatusOK, batch.answer(), batch.shown(body)
			a.reason = cli.Some(int64(failed), int64(len(batch)), "message") + " failed as --fail asks"
		}
	} else if m.fail > 0 && rand.IntN(100) < m.fail { //nolint:gosec // a sample
		a.status, a.text = cmp.Or(m.status, http.StatusInternalServerError), "this failure was asked for: receive --fail"
		a.reason = "failed as --fail asks"
	}
	return a
}

func (r *receiver) read(w http.ResponseWriter, req *http.Request) ([]byte, error) {
	if r.verifier != nil {
		return r.verifier.Read(req)
	}
	return io.ReadAll(http.MaxBytesReader(w, req.Body, maxReceived))
}

// formOf is the message of a push with "encoding": "form".
func formOf(req *http.Request, body []byte) (message string, ok bool) {
	if req.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		return "", false
	}
	form, err := url.ParseQuery(string(body))
	return form.Get("message"), err == nil && form.Has("message") && form.Has("jobid")
}

// wait is the delay that was asked for. It returns false if nobody waits for the answer.
func (r *receiver) wait(w http.ResponseWriter, req *http.Request) bool {
	if r.mood.delay == 0 {
		return true
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // the delay may be longer
	t := time.NewTimer(r.mood.delay)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-req.Context().Done():
		return false
	}
}

// tell prints a push and what became of it.
func (r *receiver) tell(h http.Header, a answer) {
	var facts []string
	for _, f := range []struct{ name, value string }{
		{"attempt", h.Get("medis-attempt")}, {"", a.note}, {"", a.size},
		{"for", h.Get("medis-subscription")}, {"from", h.Get("medis-sender")}, {"id", h.Get("webhook-id")}, {"event", eventOf(h)},
	} {
		if f.value != "" {
			facts = append(facts, strings.TrimPrefix(f.name+" "+cli.Clean(f.value), " "))
		}
	}
	reason := ""
	if a.reason != "" {
		reason = "    " + cli.Clean(a.reason) + "\n"
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
	r.answered[a.answer]++
	topic := h.Get("medis-topic")
	if left, brief := r.briefly[topic]; brief {
		switch r.briefly[topic]--; {
		case left == 0:
			_, _ = fmt.Fprintf(r.out, "…  %s goes on, and is not printed any more; the panel shows it\n", topic)
			return
		case left < 0:
			return
		}
	}
	_, _ = fmt.Fprintf(r.out, "#%d  %s  %s → %s  %s\n%s%s", r.count, time.Now().Format(time.TimeOnly),
		nameOf(h), a.answer, strings.Join(facts, ", "), reason, indented(a.body))
}

// eventOf names the CloudEvent that a push is; "" if it is none.
func eventOf(h http.Header) string {
	if h.Get("ce-specversion") == "" {
		return ""
	}
	return h.Get("ce-id") + " of " + h.Get("ce-source")
}

// nameOf says what a push holds.
func nameOf(h http.Header) string {
	if n := h.Get("medis-batch"); n != "" {
		return "batch of " + cli.Clean(n)
	}
	return cmp.Or(cli.Clean(h.Get("medis-topic")), "(no topic)")
}

// brief prints only the first pushes of a topic.
func (r *receiver) brief(topic string, pushes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.briefly = map[string]int{topic: pushes}
}

// indented are the first lines of a body, so that a long one does not fill the screen.
func indented(body []byte) string {
	var b strings.Builder
	for range shownLines {
		if len(body) == 0 {
			return b.String()
		}
		line, rest, _ := bytes.Cut(body, []byte("\n"))
		shown, cut := bytes.TrimSuffix(line, []byte("\r")), ""
		if len(shown) > shownLine {
			shown, cut = shown[:shownLine], "…"
		}
		b.WriteString("    " + cli.Clean(string(shown)) + cut + "\n")
		body = rest
	}
	if len(body) > 0 {
		b.WriteString("    …\n")
	}
	return b.String()
}

// sum is what was answered so far.
func (r *receiver) sum() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count == 0 {
		return "nothing came"
	}
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(r.answered)) {
		parts = append(parts, fmt.Sprintf("%d × %s", r.answered[what], what))
	}
	return cli.Counted(int64(r.count), "request") + ": " + strings.Join(parts, ", ")
}
