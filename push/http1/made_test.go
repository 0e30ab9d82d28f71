package http1

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"
)

// TestMadeIsTold: a new connection is told of before the request is sent. One that is in use already, or that cannot be made, is not.
func TestMadeIsTold(t *testing.T) {
	t.Parallel()
	var got, made atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if got.Add(1); made.Load() == 0 {
			t.Error("the request came first")
		}
	}))
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	to, err := NewTarget(u)
	if err != nil {
		t.Fatal(err)
	}
	if to.Origin() != srv.URL {
		t.Errorf("origin %s of %s", to.Origin(), srv.URL)
	}
	client := New(Options{})
	defer client.Close()
	snd := client.Sender(t.Context())
	defer snd.Release()
	post := func(fresh bool) error {
		_, err := snd.Post(&Request{To: to, Fresh: fresh, Made: func() { made.Add(1) }}, time.Now().Add(5*time.Second))
		return err
	}
	for _, fresh := range []bool{true, false, true} {
		if err := post(fresh); err != nil {
			t.Fatal(err)
		}
	}
	srv.Close()
	if err := post(true); err == nil {
		t.Error("nobody listens")
	}
	if got.Load() != 3 || made.Load() != 2 {
		t.Errorf("%d requests, %d connections", got.Load(), made.Load())
	}
}
