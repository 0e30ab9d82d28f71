package loadtest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
)

func TestBody(t *testing.T) {
	t.Parallel()
	const run = "0123456789ab"
	for _, size := range []int{MinBody, MinBody + 1, 1000} {
		b := Body(run, 41, 5*time.Second, size)
		n, at, ok := readBody(b[:headSize], run)
		if !json.Valid(b) || len(b) != size || n != 41 || at != 5*time.Second || !ok {
			t.Errorf("%d: %d %v %v of %s", size, n, at, ok, b)
		}
		if _, _, ok := readBody(b[:headSize], "ba9876543210"); ok {
			t.Error("the message of another run is taken")
		}
	}
}

func TestReceiverCountsDuplicates(t *testing.T) {
	t.Parallel()
	run := medispatcher.BenchRun{Run: "0123456789ab", Subscriptions: 2}
	r := NewReceiver(run, Plan{Messages: 100, Subscribers: 2}, time.Now())
	post := func(path, body string) int {
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)))
		return w.Code
	}
	body := func(n int) string { return string(Body(run.Run, n, 0, 200)) }
	for _, id := range run.IDs() {
		for _, n := range []int{0, 99, 99} {
			if code := post("/below/"+id, body(n)); code != http.StatusNoContent {
				t.Error(code)
			}
		}
	}
	for path, b := range map[string]string{"/bench-x-1": body(1), "/" + run.IDs()[0]: "short", "/" + run.IDs()[1]: body(5000)} {
		if code := post(path, b); code != http.StatusNotFound {
			t.Errorf("%s: %d", path, code)
		}
	}
	if got := r.Count(); got.Arrived != 4 || got.Duplicates != 2 || got.Failed != 0 {
		t.Errorf("%+v", got)
	}
}

func TestLatencies(t *testing.T) {
	t.Parallel()
	var l latencies
	if l.quantile(0.5) != 0 {
		t.Error("of nothing")
	}
	for i := range 10_000 {
		l.add(time.Duration(i+1) * 100 * time.Microsecond)
	}
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.9: 900 * time.Millisecond, 0.99: 990 * time.Millisecond} {
		if got := l.quantile(q); got < want || got > want+want/60 {
			t.Errorf("p%v is %v, want %v", 100*q, got, want)
		}
	}
	l.add(1000 * time.Hour)
	l.add(-time.Second)
	if l.longest != 1000*time.Hour || l.quantile(1) != l.longest {
		t.Error(l.longest)
	}
}
