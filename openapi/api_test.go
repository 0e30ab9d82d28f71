//go:build client

package openapi_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestClient uses a generated client as a program would: it makes a subscription, publishes, sees the message
// delivered, meets mistakes as problem documents, and replays what could not be delivered.
func TestClient(t *testing.T) {
	var broken atomic.Bool
	arrived := make(chan string, 100)
	worker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if broken.Load() {
			http.Error(w, "the disk is full", http.StatusInternalServerError)
			return
		}
		arrived <- string(body)
	}))
	defer worker.Close()
	d := startDispatcher(t)
	h := hold(t, d)
	c, err := NewClientWithResponses(d.url, WithHTTPClient(h), WithRequestEditorFn(func(_ context.Context, req *http.Request) error {
		authorize(req)
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()

	// With nothing there yet, and after all that follows.
	look := func(id string) {
		t.Helper()
		for name, call := range map[string]func() (int, error){
			"alerts":        func() (int, error) { r, err := c.GetAlertsWithResponse(ctx); return r.StatusCode(), err },
			"dispatchers":   func() (int, error) { r, err := c.ListDispatchersWithResponse(ctx); return r.StatusCode(), err },
			"status":        func() (int, error) { r, err := c.GetStatusWithResponse(ctx); return r.StatusCode(), err },
			"stats":         func() (int, error) { r, err := c.GetStatsWithResponse(ctx, nil); return r.StatusCode(), err },
			"subscriptions": func() (int, error) { r, err := c.ListSubscriptionsWithResponse(ctx, nil); return r.StatusCode(), err },
			"history":       func() (int, error) { r, err := c.GetHistoryWithResponse(ctx, nil); return r.StatusCode(), err },
			"series":        func() (int, error) { r, err := c.GetStatsSeriesWithResponse(ctx, nil); return r.StatusCode(), err },
			"document":      func() (int, error) { r, err := c.GetOpenapiWithResponse(ctx); return r.StatusCode(), err },
			"readiness":     func() (int, error) { r, err := c.GetReadinessWithResponse(ctx); return r.StatusCode(), err },
			"health":        func() (int, error) { r, err := c.GetHealthWithResponse(ctx); return r.StatusCode(), err },
		} {
			if code, err := call(); err != nil || code != http.StatusOK {
				t.Errorf("%s: %d %v", name, code, err)
			}
		}
		if id == "" {
			return
		}
		for name, call := range map[string]func() (int, error){
			"dead letters": func() (int, error) { r, err := c.ListDeadLettersWithResponse(ctx, id, nil); return r.StatusCode(), err },
			"history": func() (int, error) {
				r, err := c.GetSubscriptionHistoryWithResponse(ctx, id, nil)
				return r.StatusCode(), err
			},
			"stats": func() (int, error) { r, err := c.GetSubscriptionStatsWithResponse(ctx, id); return r.StatusCode(), err },
		} {
			if code, err := call(); err != nil || code != http.StatusOK {
				t.Errorf("%s of %s: %d %v", name, id, code, err)
			}
		}
	}
	look("")

	// Made, then the same again: 201 and 200.
	doc := Subscription{Topic: "order.*", Urls: []string{worker.URL}, Concurrency: ptr(int64(3)), MaxRetries: ptr(int64(0))}
	made := must(c.PutSubscriptionWithResponse(ctx, "billing", nil, doc))(t)
	if made.JSON201 == nil || *made.JSON201.Concurrency != 3 || *made.JSON201.Timeout != "5s" {
		t.Fatalf("made: %s", made.Body)
	}
	if again := must(c.PutSubscriptionWithResponse(ctx, "billing", nil, doc))(t); again.JSON200 == nil {
		t.Errorf("made again: %s", again.Body)
	}
	read := must(c.GetSubscriptionWithResponse(ctx, "billing"))(t)
	if read.JSON200 == nil || read.JSON200.Topic != "order.*" || read.Headers200 == nil || read.Headers200.ETag == nil {
		t.Fatalf("read: %s", read.Body)
	}
	look("billing")
	if list := must(c.ListSubscriptionsWithResponse(ctx, nil))(t); list.JSON200 == nil || len(list.JSON200.Subscriptions) != 1 {
		t.Errorf("list: %s", list.Body)
	}

	// A change under the ETag holds; the same ETag does not hold twice.
	etag := read.Headers200.ETag
	merge := func(match *string, patch SubscriptionPatch) *PatchSubscriptionResult {
		return must(c.PatchSubscriptionWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, "billing", &PatchSubscriptionParams{IfMatch: match}, patch))(t)
	}
	if changed := merge(etag, SubscriptionPatch{Timeout: ptr("2s")}); changed.JSON200 == nil || *changed.JSON200.Timeout != "2s" || *changed.JSON200.Concurrency != 3 {
		t.Errorf("changed: %s", changed.Body)
	}
	if late := merge(etag, SubscriptionPatch{Timeout: ptr("3s")}); late.ApplicationproblemJSON412 == nil {
		t.Errorf("changed over another change: %d %s", late.StatusCode(), late.Body)
	}
	wrong := merge(nil, SubscriptionPatch{Concurrency: ptr(int64(1_000_000))})
	if p := wrong.ApplicationproblemJSON422; p == nil || p.Errors == nil || *(*p.Errors)[0].Location != "concurrency" {
		t.Errorf("a wrong value: %s", wrong.Body)
	}
	if none := must(c.GetSubscriptionWithResponse(ctx, "nobody"))(t); none.ApplicationproblemJSON404 == nil || !strings.Contains(*none.ApplicationproblemJSON404.Detail, "nobody") {
		t.Errorf("no such subscription: %s", none.Body)
	}

	// Published and delivered.
	publish := func(body string) *PublishMessageResult {
		return must(c.PublishMessageWithBodyWithResponse(ctx, "order.created", &PublishMessageParams{}, "text/plain", strings.NewReader(body)))(t)
	}
	sent := publish("one")
	if sent.JSON202 == nil || sent.JSON202.Id == "" {
		t.Fatalf("published: %s", sent.Body)
	}
	await(t, arrived, "one")
	if bad := must(c.PublishMessageWithBodyWithResponse(ctx, "order..x", nil, "text/plain", strings.NewReader("")))(t); bad.ApplicationproblemJSON422 == nil {
		t.Errorf("a wrong topic: %s", bad.Body)
	}

	// Not delivered: a dead letter, which tells why, and is replayed.
	broken.Store(true)
	lost := publish("two")
	var letters *ListDeadLettersResult
	eventually(t, "a dead letter", func() bool {
		letters = must(c.ListDeadLettersWithResponse(ctx, "billing", nil))(t)
		return letters.JSON200 != nil && len(letters.JSON200.DeadLetters) == 1
	})
	letter := letters.JSON200.DeadLetters[0]
	if body := string(letter.Message.bytes()); body != "two" || letter.Failure == nil || !strings.Contains(letter.Failure.LastError, "the disk is full") {
		t.Errorf("the letter: %s", letters.Body)
	}
	if one := must(c.GetDeadLetterWithResponse(ctx, "billing", letter.Id))(t); one.JSON200 == nil || *one.JSON200.Message.Id != lost.JSON202.Id {
		t.Errorf("one letter: %s", one.Body)
	}
	if story := must(c.GetMessageWithResponse(ctx, lost.JSON202.Id))(t); story.JSON200 == nil || story.JSON200.Places[0].State != "DEAD" {
		t.Errorf("its story: %s", story.Body)
	}
	broken.Store(false)
	replayed := must(c.ReplayDeadLettersWithResponse(ctx, "billing", ReplayDeadLettersJSONRequestBody{Ids: &[]string{letter.Id}}))(t)
	if replayed.JSON200 == nil || *replayed.JSON200.Replayed != 1 {
		t.Errorf("replayed: %s", replayed.Body)
	}
	await(t, arrived, "two")

	// What is seen of it.
	eventually(t, "everything settled and counted", func() bool {
		stats := must(c.GetStatsWithResponse(ctx, nil))(t)
		if stats.JSON200 == nil || len(stats.JSON200.Subscriptions) != 1 {
			t.Fatalf("stats: %s", stats.Body)
		}
		return stats.JSON200.Subscriptions[0].Sent.Total == 2 && stats.JSON200.Subscriptions[0].Dead.Total == 1
	})
	status := must(c.GetStatusWithResponse(ctx))(t)
	if s := status.JSON200; s == nil || len(s.Subscriptions) != 1 || s.Subscriptions[0].Dead != 0 || len(s.Dispatchers) != 1 {
		t.Errorf("status: %s", status.Body)
	}
	look("billing")
	for name, call := range map[string]func() (int, error){
		"pause": func() (int, error) {
			r, err := c.PauseSubscriptionWithResponse(ctx, "billing", nil)
			return r.StatusCode(), err
		},
		"resume": func() (int, error) {
			r, err := c.ResumeSubscriptionWithResponse(ctx, "billing", nil)
			return r.StatusCode(), err
		},
		"kick": func() (int, error) {
			r, err := c.KickSubscriptionWithResponse(ctx, "billing")
			return r.StatusCode(), err
		},
		"purge": func() (int, error) {
			r, err := c.PurgeSubscriptionWithResponse(ctx, "billing")
			return r.StatusCode(), err
		},
		"purge dead": func() (int, error) {
			r, err := c.PurgeDeadLettersWithResponse(ctx, "billing", nil)
			return r.StatusCode(), err
		},
	} {
		if code, err := call(); err != nil || code != http.StatusOK {
			t.Errorf("%s: %d %v", name, code, err)
		}
	}
	useKept(ctx, t, c)
	if try := must(c.TestAlertWithResponse(ctx, nil))(t); try.ApplicationproblemJSON409 == nil {
		t.Errorf("no receivers: %s", try.Body)
	}
	if gone := must(c.DeleteSubscriptionWithResponse(ctx, "billing", nil))(t); gone.StatusCode() != http.StatusNoContent {
		t.Errorf("removed: %s", gone.Body)
	}

	// Without the token.
	anybody, err := NewClientWithResponses(d.url, WithHTTPClient(h))
	if err != nil {
		t.Fatal(err)
	}
	if refused := must(anybody.GetStatusWithResponse(ctx))(t); refused.ApplicationproblemJSON401 == nil {
		t.Errorf("without a token: %s", refused.Body)
	}
	for _, op := range h.unused() {
		t.Errorf("%s is documented, and the client did not use it", op)
	}
}

// useKept publishes what nobody wants, and deals with it; nothing is in the quarantine.
func useKept(ctx context.Context, t *testing.T, c *ClientWithResponses) {
	t.Helper()
	sent := must(c.PublishMessageWithBodyWithResponse(ctx, "oder.created", nil, "text/plain", strings.NewReader("three")))(t)
	if sent.JSON202 == nil || sent.JSON202.Warning == nil || !strings.Contains(*sent.JSON202.Warning, "no subscription wants the topic oder.created now") {
		t.Fatalf("published to nobody: %s", sent.Body)
	}
	var list *ListUnroutedResult
	eventually(t, "an unrouted message", func() bool {
		list = must(c.ListUnroutedWithResponse(ctx, nil))(t)
		return list.JSON200 != nil && len(list.JSON200.Messages) == 1
	})
	kept := list.JSON200.Messages[0]
	if one := must(c.GetUnroutedWithResponse(ctx, kept.Id))(t); one.JSON200 == nil || string(one.JSON200.Message.bytes()) != "three" {
		t.Errorf("one that nobody wants: %s", one.Body)
	}
	if story := must(c.GetMessageWithResponse(ctx, sent.JSON202.Id))(t); story.JSON200 == nil || story.JSON200.Places[0].State != "UNROUTED" || *story.JSON200.Places[0].Kept != kept.Id {
		t.Errorf("its story: %s", story.Body)
	}
	replayed := must(c.ReplayUnroutedWithResponse(ctx, ReplayUnroutedJSONRequestBody{Ids: &[]string{kept.Id}}))(t)
	if replayed.JSON200 == nil || replayed.JSON200.Replayed != 1 || replayed.JSON200.Unwanted == nil || *replayed.JSON200.Unwanted != 1 {
		t.Errorf("replayed: %s", replayed.Body)
	}
	eventually(t, "it comes back", func() bool {
		list = must(c.ListUnroutedWithResponse(ctx, nil))(t)
		return list.JSON200 != nil && len(list.JSON200.Messages) == 1 && list.JSON200.Messages[0].Id != kept.Id
	})
	if purged := must(c.PurgeUnroutedWithResponse(ctx, nil))(t); purged.JSON200 == nil || *purged.JSON200.Purged != 1 {
		t.Errorf("purged: %s", purged.Body)
	}
	if list := must(c.ListQuarantineWithResponse(ctx, nil))(t); list.JSON200 == nil || len(list.JSON200.Messages) != 0 {
		t.Errorf("the quarantine: %s", list.Body)
	}
	if none := must(c.GetQuarantineWithResponse(ctx, kept.Id))(t); none.ApplicationproblemJSON404 == nil {
		t.Errorf("what is not there: %s", none.Body)
	}
	if none := must(c.ReplayQuarantineWithResponse(ctx, ReplayQuarantineJSONRequestBody{}))(t); none.JSON200 == nil || none.JSON200.Replayed != 0 {
		t.Errorf("replayed: %s", none.Body)
	}
	if none := must(c.PurgeQuarantineWithResponse(ctx, nil))(t); none.JSON200 == nil || *none.JSON200.Purged != 0 {
		t.Errorf("purged: %s", none.Body)
	}
}

// bytes is the body of a message, which is text where it is UTF-8.
func (m Message) bytes() []byte {
	if m.BodyBase64 != nil {
		return *m.BodyBase64
	}
	return []byte(*m.Body)
}

func ptr[T any](v T) *T { return &v }

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func await(t *testing.T, arrived <-chan string, want string) {
	t.Helper()
	select {
	case got := <-arrived:
		if got != want {
			t.Errorf("%q arrived, want %q", got, want)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("%q did not arrive", want)
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come", what)
		}
	}
}
