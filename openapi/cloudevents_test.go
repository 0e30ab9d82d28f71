package openapi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/client"
	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/protocol"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/cloudevents/sdk-go/v2/test"
)

// receivedEvent is an event as the SDK gave it to a worker.
type receivedEvent struct {
	by string // the path of the worker
	event.Event
}

// newEvents are a dispatcher, a client of the SDK that publishes to it, and two workers with receivers of the SDK: "/one" takes
// single events, "/many" batches. Both get every topic.
func newEvents(t *testing.T) (d *dispatcher, c client.Client, arrived <-chan receivedEvent) {
	t.Helper()
	d = startDispatcher(t)
	got := make(chan receivedEvent, 100)
	p, err := cehttp.New()
	if err != nil {
		t.Fatal(err)
	}
	one, err := client.NewHTTPReceiveHandler(t.Context(), p, func(e event.Event) { got <- receivedEvent{"/one", e} })
	if err != nil {
		t.Fatal(err)
	}
	worker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/one" && r.Header.Get("webhook-id") != "" && r.Header.Get("ce-specversion") == "1.0" { // as Knative asks for
			one.ServeHTTP(w, r)
			return
		}
		list, err := cehttp.NewEventsFromHTTPRequest(r)
		if err != nil || !cehttp.IsHTTPBatch(r.Header) {
			t.Errorf("%s: %v in %v", r.URL, err, r.Header)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		for _, e := range list {
			got <- receivedEvent{"/many", e}
		}
	}))
	t.Cleanup(worker.Close)
	for path, more := range map[string]string{"/one": "", "/many": `,"batch":{"size":3}`} {
		doc := fmt.Sprintf(`{"topic":">","urls":[%q],"encoding":"cloudevents"%s}`, worker.URL+path, more)
		if code := send(t, http.MethodPut, d.url+"/api/v1/subscriptions"+path, doc); code != http.StatusCreated {
			t.Fatalf("subscribe %s: %d", path, code)
		}
	}
	p, err = cehttp.New(cehttp.WithTarget(d.url+"/api/v1/events"), cehttp.WithHeader("Authorization", "Bearer "+token))
	if err != nil {
		t.Fatal(err)
	}
	if c, err = client.New(p); err != nil {
		t.Fatal(err)
	}
	return d, c, got
}

func send(t *testing.T, method, url, body string) (status int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	authorize(req)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// sampleEvents are those that the SDK tests its own bindings with, and more.
func sampleEvents(t *testing.T) []event.Event {
	t.Helper()
	events := []event.Event{test.FullEvent(), test.MinEvent()}
	add := func(id string, change func(e *event.Event) error) {
		e := event.New()
		e.SetID(id)
		e.SetSource("https://shop.example/orders?all#1")
		e.SetType("order.created")
		if err := errors.Join(change(&e), e.Validate()); err != nil {
			t.Fatal(id, err)
		}
		events = append(events, e)
	}
	add("text", func(e *event.Event) error {
		e.SetTime(time.Date(2026, 1, 2, 3, 4, 5, 123456789, time.UTC))
		return e.SetData("text/plain; charset=utf-8", "one\n\"two\" é")
	})
	add("bytes", func(e *event.Event) error {
		e.SetExtension("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		e.SetExtension("partitionkey", "7")
		return e.SetData("image/png", []byte{0x89, 'P', 0xff, 0})
	})
	add("json", func(e *event.Event) error {
		e.SetSubject("customer 7 é \"%\" 100%")
		return e.SetData("application/json", map[string]any{"order": 42})
	})
	add("order+json", func(e *event.Event) error { return e.SetData("application/vnd.order+json", []byte(`{"order":42}`)) })
	add("xml", func(e *event.Event) error { return e.SetData("application/xml", []byte(`<order id="42"/>`)) })
	add("untyped", func(e *event.Event) error {
		e.DataEncoded = []byte(`{"order":42}`)
		return nil
	})
	return events
}

// TestCloudEvents: what the client of the SDK publishes, its receivers get, equal: alone and in batches.
func TestCloudEvents(t *testing.T) {
	_, c, arrived := newEvents(t)
	ctx := cecontext(t)
	events := sampleEvents(t)
	structured := binding.WithForceStructured(ctx)
	for i, e := range events {
		e.SetID(fmt.Sprint("binary-", i))
		published(t, c.Send(ctx, e))
		expect(t, arrived, e)
		if e.DataContentType() == "application/vnd.order+json" {
			continue // the SDK makes a string of such data, where the specification asks for JSON
		}
		e.SetID(fmt.Sprint("structured-", i))
		published(t, c.Send(structured, e))
		expect(t, arrived, e)
	}
}

// cecontext is one that publishes in binary mode.
func cecontext(t *testing.T) context.Context { return binding.WithForceBinary(t.Context()) }

func published(t *testing.T, result protocol.Result) {
	t.Helper()
	if !protocol.IsACK(result) {
		t.Fatal(result)
	}
}

// expect waits until both workers have got the event.
func expect(t *testing.T, arrived <-chan receivedEvent, want event.Event) {
	t.Helper()
	want = test.ConvertEventExtensionsToString(t, want)
	got := map[string]int{}
	for len(got) < 2 {
		select {
		case e := <-arrived:
			if e.ID() != want.ID() {
				t.Fatalf("%s got %s, want %s", e.by, e, want)
			}
			if got[e.by]++; e.by == "/one" { // the SDK does not decode percent signs
				if subject, err := url.PathUnescape(e.Subject()); err == nil && subject != "" {
					e.SetSubject(subject)
				}
			}
			e.DataBase64 = want.DataBase64 // how the data was written, not what it is
			if len(e.DataEncoded) == 0 && len(want.DataEncoded) == 0 {
				e.DataEncoded = want.DataEncoded
			}
			test.AssertEventEquals(t, want, e.Event)
		case <-time.After(20 * time.Second):
			t.Fatalf("only %v got %s", got, want)
		}
	}
}

// TestCloudEventsBatch: a batch of the SDK is taken whole or not at all. An event that comes again is not delivered twice, but that of
// another source is.
func TestCloudEventsBatch(t *testing.T) {
	d, c, arrived := newEvents(t)
	events := sampleEvents(t)[2:5]
	post := func(events []event.Event) int {
		t.Helper()
		req, err := cehttp.NewHTTPRequestFromEvents(t.Context(), d.url+"/api/v1/events", events)
		if err != nil {
			t.Fatal(err)
		}
		authorize(req)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var body bytes.Buffer
		_, _ = body.ReadFrom(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusUnprocessableEntity && !strings.Contains(body.String(), `"location":"[1].type"`) {
			t.Errorf("%s", &body)
		}
		return resp.StatusCode
	}
	wrong := events[1].Clone()
	wrong.SetType("com.github/pull_request")
	if code := post([]event.Event{events[0], wrong}); code != http.StatusUnprocessableEntity {
		t.Errorf("a wrong event in a batch: %d", code)
	}
	if code := post(events); code != http.StatusAccepted {
		t.Fatalf("a batch: %d", code)
	}
	if code := post(events); code != http.StatusAccepted {
		t.Fatalf("the same batch again: %d", code)
	}
	other := events[0].Clone()
	other.SetSource("/other")
	published(t, c.Send(cecontext(t), other))
	counts := map[string]int{}
	for range 2 * 4 {
		select {
		case e := <-arrived:
			counts[e.by+" "+e.Source()+" "+e.ID()]++
		case <-time.After(20 * time.Second):
			t.Fatalf("only %v", counts)
		}
	}
	for what, n := range counts {
		if n != 1 {
			t.Errorf("%s came %d times", what, n)
		}
	}
	if len(counts) != 8 {
		t.Errorf("%v", counts)
	}
}
