//go:build client

package openapi_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestClient uses a generated client as a program would: it makes a subscription, publishes, waits for the delivery,
// gets problem documents for mistakes, and replays a dead letter. It uses every documented operation.
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

	// look reads everything. It is called before there is anything, with the subscription, and at the end.
	look := func(id string) {
		t.Helper()
		for name, call := range map[string]func() (int, error){
			"alerts":        func() (int, error) { r, err := c.GetAlertsWithResponse(ctx); return r.StatusCode(), err },
			"alert rules":   func() (int, error) { r, err := c.GetAlertRulesWithResponse(ctx); return r.StatusCode(), err },
			"dispatchers":   func() (int, error) { r, err := c.ListDispatchersWithResponse(ctx); return r.StatusCode(), err },
			"status":        func() (int, error) { r, err := c.GetStatusWithResponse(ctx, nil); return r.StatusCode(), err },
			"stats":         func() (int, error) { r, err := c.GetStatsWithResponse(ctx, nil); return r.StatusCode(), err },
			"subscriptions": func() (int, error) { r, err := c.ListSubscriptionsWithResponse(ctx, nil); return r.StatusCode(), err },
			"history":       func() (int, error) { r, err := c.GetHistoryWithResponse(ctx, nil); return r.StatusCode(), err },
			"series":        func() (int, error) { r, err := c.GetStatsSeriesWithResponse(ctx, nil); return r.StatusCode(), err },
			"times":         func() (int, error) { r, err := c.GetStatsTimesWithResponse(ctx, nil); return r.StatusCode(), err },
			"document":      func() (int, error) { r, err := c.GetOpenapiWithResponse(ctx); return r.StatusCode(), err },
			"readiness":     func() (int, error) { r, err := c.GetReadinessWithResponse(ctx); return r.StatusCode(), err },
			"health":        func() (int, error) { r, err := c.GetHealthWithResponse(ctx); return r.StatusCode(), err },
		} {
			if code, err := call(); err != nil || code != http.StatusOK {
				t.Errorf("%s: got %d and error %v, want 200", name, code, err)
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
				t.Errorf("%s of %s: got %d and error %v, want 200", name, id, code, err)
			}
		}
	}
	look("")

	// The first PUT answers 201, the same PUT again 200.
	doc := Subscription{Topic: "order.*", Urls: []string{worker.URL}, Concurrency: ptr(int64(3)), MaxRetries: ptr(int64(0))}
	made := must(c.PutSubscriptionWithResponse(ctx, "billing", nil, doc))(t)
	if made.JSON201 == nil || *made.JSON201.Concurrency != 3 || *made.JSON201.Timeout != "5s" {
		t.Fatalf("make a subscription: got %d %s, want 201 with concurrency 3 and timeout 5s", made.StatusCode(), made.Body)
	}
	if again := must(c.PutSubscriptionWithResponse(ctx, "billing", nil, doc))(t); again.JSON200 == nil {
		t.Errorf("make it again: got %d %s, want 200", again.StatusCode(), again.Body)
	}
	lines := fmt.Sprintf(`{"id":"billing","topic":"order.*","urls":[%q],"concurrency":3,"max_retries":0}`+"\n", worker.URL)
	if many := must(c.PutSubscriptionsWithBodyWithResponse(ctx, "application/x-ndjson", strings.NewReader(lines)))(t); many.JSON200 == nil || many.JSON200.Replaced != 1 {
		t.Errorf("put many: got %d %s, want 200 with 1 replaced", many.StatusCode(), many.Body)
	}
	read := must(c.GetSubscriptionWithResponse(ctx, "billing", nil))(t)
	if read.JSON200 == nil || read.JSON200.Topic != "order.*" || read.Headers200 == nil || read.Headers200.ETag == nil {
		t.Fatalf("read it: got %d %s, want 200 with topic order.* and an ETag", read.StatusCode(), read.Body)
	}
	look("billing")
	if list := must(c.ListSubscriptionsWithResponse(ctx, nil))(t); list.JSON200 == nil || len(list.JSON200.Subscriptions) != 1 {
		t.Errorf("list subscriptions: got %d %s, want 200 with one", list.StatusCode(), list.Body)
	}

	any := "*"
	if same := must(c.GetSubscriptionWithResponse(ctx, "billing", &GetSubscriptionParams{IfNoneMatch: read.Headers200.ETag}))(t); same.StatusCode() != http.StatusNotModified || len(same.Body) > 0 {
		t.Errorf("read it with its ETag: got %d %s, want 304", same.StatusCode(), same.Body)
	}
	if twice := must(c.PutSubscriptionWithResponse(ctx, "billing", &PutSubscriptionParams{IfNoneMatch: &any}, doc))(t); twice.ApplicationproblemJSON412 == nil {
		t.Errorf("create it again: got %d %s, want 412", twice.StatusCode(), twice.Body)
	}

	// A change with the current ETag is accepted; the ETag is outdated after that.
	etag := read.Headers200.ETag
	merge := func(match *string, patch SubscriptionPatch) *PatchSubscriptionResult {
		return must(c.PatchSubscriptionWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, "billing", &PatchSubscriptionParams{IfMatch: match}, patch))(t)
	}
	if changed := merge(etag, SubscriptionPatch{Timeout: ptr("2s")}); changed.JSON200 == nil || *changed.JSON200.Timeout != "2s" || *changed.JSON200.Concurrency != 3 {
		t.Errorf("change it: got %d %s, want 200 with timeout 2s and concurrency 3", changed.StatusCode(), changed.Body)
	}
	if late := merge(etag, SubscriptionPatch{Timeout: ptr("3s")}); late.ApplicationproblemJSON412 == nil {
		t.Errorf("change it with an outdated ETag: got %d %s, want 412", late.StatusCode(), late.Body)
	}
	wrong := merge(nil, SubscriptionPatch{Concurrency: ptr(int64(1_000_000))})
	if p := wrong.ApplicationproblemJSON422; p == nil || p.Errors == nil || *(*p.Errors)[0].Location != "concurrency" {
		t.Errorf("change it to a wrong value: got %d %s, want 422 at concurrency", wrong.StatusCode(), wrong.Body)
	}
	if none := must(c.GetSubscriptionWithResponse(ctx, "nobody", nil))(t); none.ApplicationproblemJSON404 == nil || !strings.Contains(*none.ApplicationproblemJSON404.Detail, "nobody") {
		t.Errorf("read a missing subscription: got %d %s, want 404 that names it", none.StatusCode(), none.Body)
	}

	// A message is published and delivered.
	publish := func(body string) *PublishMessageResult {
		return must(c.PublishMessageWithBodyWithResponse(ctx, "order.created", &PublishMessageParams{}, "text/plain", strings.NewReader(body)))(t)
	}
	sent := publish("one")
	if sent.JSON202 == nil || sent.JSON202.Id == "" {
		t.Fatalf("publish: got %d %s, want 202 with an id", sent.StatusCode(), sent.Body)
	}
	await(t, arrived, "one")
	if bad := must(c.PublishMessageWithBodyWithResponse(ctx, "order..x", nil, "text/plain", strings.NewReader("")))(t); bad.ApplicationproblemJSON422 == nil {
		t.Errorf("publish to a wrong topic: got %d %s, want 422", bad.StatusCode(), bad.Body)
	}

	// A message cannot be delivered: it becomes a dead letter that says why, and is replayed.
	broken.Store(true)
	lost := publish("two")
	var letters *ListDeadLettersResult
	eventually(t, "a dead letter", func() bool {
		letters = must(c.ListDeadLettersWithResponse(ctx, "billing", nil))(t)
		return letters.JSON200 != nil && len(letters.JSON200.DeadLetters) == 1
	})
	letter := letters.JSON200.DeadLetters[0]
	if body := string(letter.Message.bytes()); body != "two" || letter.Failure == nil || !strings.Contains(letter.Failure.LastError, "the disk is full") {
		t.Errorf(`list dead letters: got %s, want the body two and the error "the disk is full"`, letters.Body)
	}
	if one := must(c.GetDeadLetterWithResponse(ctx, "billing", letter.Id))(t); one.JSON200 == nil || *one.JSON200.Message.Id != lost.JSON202.Id {
		t.Errorf("read the dead letter: got %d %s, want 200 with message id %s", one.StatusCode(), one.Body, lost.JSON202.Id)
	}
	if story := must(c.GetMessageWithResponse(ctx, lost.JSON202.Id))(t); story.JSON200 == nil || story.JSON200.Places[0].State != "DEAD" {
		t.Errorf("read its story: got %d %s, want 200 with the state DEAD", story.StatusCode(), story.Body)
	}
	lookAround(ctx, t, c, lost.JSON202.Id)
	broken.Store(false)
	replayed := must(c.ReplayDeadLettersWithResponse(ctx, "billing", ReplayDeadLettersJSONRequestBody{Ids: &[]string{letter.Id}}))(t)
	if replayed.JSON200 == nil || *replayed.JSON200.Replayed != 1 {
		t.Errorf("replay the dead letter: got %d %s, want 200 with one replayed", replayed.StatusCode(), replayed.Body)
	}
	await(t, arrived, "two")

	// Statistics and status show both messages.
	eventually(t, "everything is settled and counted", func() bool {
		stats := must(c.GetStatsWithResponse(ctx, nil))(t)
		if stats.JSON200 == nil || len(stats.JSON200.Subscriptions) != 1 {
			t.Fatalf("stats: got %d %s, want 200 with one subscription", stats.StatusCode(), stats.Body)
		}
		return stats.JSON200.Subscriptions[0].Sent.Total == 2 && stats.JSON200.Subscriptions[0].Dead.Total == 1
	})
	status := must(c.GetStatusWithResponse(ctx, nil))(t)
	if s := status.JSON200; s == nil || len(s.Subscriptions) != 1 || s.Subscriptions[0].Dead != 0 || len(s.Dispatchers) != 1 {
		t.Errorf("status: got %d %s, want 200 with one subscription, no dead letters and one dispatcher", status.StatusCode(), status.Body)
	}
	look("billing")
	if try := must(c.TestSubscriptionWithBodyWithResponse(ctx, "billing", &TestSubscriptionParams{Topic: ptr("order.tried")}, "text/plain", strings.NewReader("four")))(t); try.JSON200 == nil || !try.JSON200.Accepted {
		t.Errorf("test the subscription: got %d %s, want 200 and accepted", try.StatusCode(), try.Body)
	}
	await(t, arrived, "four")
	replay(ctx, t, c, arrived, 2)
	named := []string{"billing", "nobody"}
	for name, call := range map[string]func() (*Patched, []byte){
		"patch": func() (*Patched, []byte) {
			r := must(c.PatchSubscriptionsWithResponse(ctx, PatchSubscriptionsJSONRequestBody{Ids: named, Patch: SubscriptionPatch{Concurrency: ptr(int64(4))}}))(t)
			return r.JSON200, r.Body
		},
		"pause": func() (*Patched, []byte) {
			r := must(c.PauseSubscriptionsWithResponse(ctx, PauseSubscriptionsJSONRequestBody{Ids: named}))(t)
			return r.JSON200, r.Body
		},
		"resume": func() (*Patched, []byte) {
			r := must(c.ResumeSubscriptionsWithResponse(ctx, ResumeSubscriptionsJSONRequestBody{Ids: named}))(t)
			return r.JSON200, r.Body
		},
	} {
		if done, body := call(); done == nil || done.Changed != 1 || done.Failed == nil || (*done.Failed)[0].Id != "nobody" {
			t.Errorf("%s many: got %s, want one changed and nobody failed", name, body)
		}
	}
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
			t.Errorf("%s: got %d and error %v, want 200", name, code, err)
		}
	}
	useKept(ctx, t, c)
	publishEvent(ctx, t, c)
	if try := must(c.TestAlertWithResponse(ctx, nil))(t); try.ApplicationproblemJSON409 == nil {
		t.Errorf("test alert without receivers: got %d %s, want 409", try.StatusCode(), try.Body)
	}
	if gone := must(c.DeleteSubscriptionWithResponse(ctx, "billing", nil))(t); gone.StatusCode() != http.StatusNoContent {
		t.Errorf("remove the subscription: got %d %s, want 204", gone.StatusCode(), gone.Body)
	}

	// A request without the token is refused.
	anybody, err := NewClientWithResponses(d.url, WithHTTPClient(h))
	if err != nil {
		t.Fatal(err)
	}
	if refused := must(anybody.GetStatusWithResponse(ctx, nil))(t); refused.ApplicationproblemJSON401 == nil {
		t.Errorf("status without the token: got %d %s, want 401", refused.StatusCode(), refused.Body)
	}
	for _, op := range h.unused() {
		t.Errorf("%s is documented but was not used, want every operation used", op)
	}
}

// useKept publishes a message that no subscription wants, reads, replays and purges it, and does the same with an
// empty quarantine.
func useKept(ctx context.Context, t *testing.T, c *ClientWithResponses) {
	t.Helper()
	sent := must(c.PublishMessageWithBodyWithResponse(ctx, "oder.created", nil, "text/plain", strings.NewReader("three")))(t)
	if sent.JSON202 == nil || sent.JSON202.Warning == nil || !strings.Contains(*sent.JSON202.Warning, "no subscription wants the topic oder.created now") {
		t.Fatalf("publish to an unwanted topic: got %d %s, want 202 with a warning", sent.StatusCode(), sent.Body)
	}
	var list *ListUnroutedResult
	eventually(t, "an unrouted message", func() bool {
		list = must(c.ListUnroutedWithResponse(ctx, nil))(t)
		return list.JSON200 != nil && len(list.JSON200.Messages) == 1
	})
	kept := list.JSON200.Messages[0]
	if one := must(c.GetUnroutedWithResponse(ctx, kept.Id))(t); one.JSON200 == nil || string(one.JSON200.Message.bytes()) != "three" {
		t.Errorf("read the unrouted message: got %d %s, want 200 with the body three", one.StatusCode(), one.Body)
	}
	if story := must(c.GetMessageWithResponse(ctx, sent.JSON202.Id))(t); story.JSON200 == nil || story.JSON200.Places[0].State != "UNROUTED" || *story.JSON200.Places[0].Kept != kept.Id {
		t.Errorf("read its story: got %d %s, want 200 with the state UNROUTED, kept as %s", story.StatusCode(), story.Body, kept.Id)
	}
	replayed := must(c.ReplayUnroutedWithResponse(ctx, ReplayUnroutedJSONRequestBody{Ids: &[]string{kept.Id}}))(t)
	if replayed.JSON200 == nil || replayed.JSON200.Replayed != 1 || replayed.JSON200.Unwanted == nil || *replayed.JSON200.Unwanted != 1 {
		t.Errorf("replay it: got %d %s, want 200 with one replayed and one unwanted", replayed.StatusCode(), replayed.Body)
	}
	eventually(t, "the replayed message is unrouted again", func() bool {
		list = must(c.ListUnroutedWithResponse(ctx, nil))(t)
		return list.JSON200 != nil && len(list.JSON200.Messages) == 1 && list.JSON200.Messages[0].Id != kept.Id
	})
	if purged := must(c.PurgeUnroutedWithResponse(ctx, nil))(t); purged.JSON200 == nil || *purged.JSON200.Purged != 1 {
		t.Errorf("purge the unrouted messages: got %d %s, want 200 with one purged", purged.StatusCode(), purged.Body)
	}
	if list := must(c.ListQuarantineWithResponse(ctx, nil))(t); list.JSON200 == nil || len(list.JSON200.Messages) != 0 {
		t.Errorf("list the quarantine: got %d %s, want 200 with no messages", list.StatusCode(), list.Body)
	}
	if none := must(c.GetQuarantineWithResponse(ctx, kept.Id))(t); none.ApplicationproblemJSON404 == nil {
		t.Errorf("read a missing message of the quarantine: got %d %s, want 404", none.StatusCode(), none.Body)
	}
	if none := must(c.ReplayQuarantineWithResponse(ctx, ReplayQuarantineJSONRequestBody{}))(t); none.JSON200 == nil || none.JSON200.Replayed != 0 {
		t.Errorf("replay the empty quarantine: got %d %s, want 200 with none replayed", none.StatusCode(), none.Body)
	}
	if none := must(c.PurgeQuarantineWithResponse(ctx, nil))(t); none.JSON200 == nil || *none.JSON200.Purged != 0 {
		t.Errorf("purge the empty quarantine: got %d %s, want 200 with none purged", none.StatusCode(), none.Body)
	}
}

// bytes returns the body of a message. The API sends it as text if it is UTF-8, and as base64 otherwise.
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
			t.Errorf("the worker got %q, want %q", got, want)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("the worker got nothing within 20 s, want %q", want)
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}
