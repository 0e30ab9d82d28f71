package push

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
	"github.com/solate/medispatcher/verify"
)

// tried is what a worker got of a test, and what came of it.
type tried struct {
	medispatcher.Trial
	header http.Header
	body   []byte
	err    error
}

// try tries the subscription "a" on a worker.
func try(t *testing.T, ctx context.Context, change func(*medispatcher.Subscription), worker http.HandlerFunc) (got tried) { //nolint:revive // ctx is what some tests end
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got.header = r.Header.Clone()
		got.body, _ = io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(got.body)))
		worker(w, r)
	}))
	defer srv.Close()
	sub := subscription("a")
	sub.URLs = []string{strings.Replace(srv.URL, "http://", "http://ann:hunter2hunter2@", 1) + "/hook?token=querysecret"}
	sub.Secret, sub.Headers = vectorSecret, map[string]string{"X-Api-Key": "Bearer keysecret", "X-Team": "blue"}
	if change != nil {
		change(&sub)
	}
	client := http1.New(http1.Options{Guard: http1.NewGuard([]netip.Prefix{netip.MustParsePrefix("127.0.0.9/32")})})
	defer client.Close()
	got.Trial, got.err = Try(ctx, client, &sub, delivery(nil), "", "medispatcher/1")
	return got
}

// TestTry: the worker gets what an attempt sends, marked as a test. What went out and came back is shown, and no secret of it.
func TestTry(t *testing.T) {
	t.Parallel()
	echo := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Echo", r.Header.Get("X-Api-Key"))
		w.Header().Set("Set-Cookie", "session=1")
		w.Header().Set("Location", "http://h/?next=secretplace")
		body, _ := io.ReadAll(r.Body)
		for _, text := range []string{r.URL.String(), r.Header.Get("Authorization"), r.Header.Get("X-Api-Key"), string(body)} {
			_, _ = io.WriteString(w, text+"\n")
		}
	}
	got := try(t, t.Context(), nil, echo)
	switch {
	case got.err != nil || !got.Accepted || got.Status != 200 || got.Problem != "":
		t.Fatalf("%+v", got)
	case got.header.Get("Medis-Test") != "1" || got.header.Get("Medis-Attempt") != "1" || got.header.Get("X-Api-Key") != "Bearer keysecret" || string(got.body) != `{"order":42}`:
		t.Errorf("the worker got %v %q", got.header, got.body)
	case got.Body != `{"order":42}` || got.BodyBytes != len(got.Body) || !strings.Contains(got.Answer, got.Body):
		t.Errorf("%+v", got.Trial)
	}
	v, err := verify.New(vectorSecret)
	if err == nil {
		err = v.Check(got.header, got.body)
	}
	if err != nil {
		t.Errorf("the signature: %v", err)
	}
	raw, err := json.Marshal(got.Trial)
	for _, secret := range []string{"hunter2", "YW5uOmh1bnRlcjJodW50ZXIy", "keysecret", "querysecret", "session=1", "secretplace", strings.TrimPrefix(vectorSecret, "whsec_")} {
		if err != nil || strings.Contains(string(raw), secret) {
			t.Errorf("%s is shown: %s", secret, raw)
		}
	}

	form := try(t, t.Context(), func(s *medispatcher.Subscription) { s.Encoding = medispatcher.EncodingForm }, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"status":0}`)
	})
	if form.Accepted || form.Status != 200 || !strings.HasPrefix(form.Body, "message=%7B%22order%22%3A42%7D&jobid=") || !strings.Contains(form.Request.URL, "retry_times=0") || form.Answer != `{"status":0}` {
		t.Errorf("form: %+v", form.Trial)
	}

	event := try(t, t.Context(), func(s *medispatcher.Subscription) { s.Encoding = medispatcher.EncodingCloudEvents }, func(http.ResponseWriter, *http.Request) {})
	if !event.Accepted || event.header.Get("Ce-Type") != "order.created" || event.header.Get("Medis-Test") != "1" || event.Body != `{"order":42}` {
		t.Errorf("CloudEvents: %+v %v", event.Trial, event.header)
	}

	batch := try(t, t.Context(), func(s *medispatcher.Subscription) {
		s.Batch = medispatcher.BatchPolicy{Size: 10, Bytes: 1 << 20, Format: medispatcher.BatchArray}
	}, func(w http.ResponseWriter, r *http.Request) {
		var list []packedMessage
		_ = json.NewDecoder(r.Body).Decode(&list)
		_, _ = io.WriteString(w, `{"failed":[{"id":"`+list[0].ID+`","error":"no room"}]}`)
	})
	if batch.Accepted || batch.header.Get("Medis-Batch") != "1" || batch.header.Get("Medis-Test") != "1" || !strings.HasPrefix(batch.Body, `[{"id":`) || !strings.Contains(batch.Problem, "no room") {
		t.Errorf("batch: %+v %v", batch.Trial, batch.header)
	}
}

// TestTryShowsWhatWentWrong: every way in which a test may end says so, and ends in time.
func TestTryShowsWhatWentWrong(t *testing.T) {
	t.Parallel()
	hangs := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	taken := func(http.ResponseWriter, *http.Request) {}
	soon := func(s *medispatcher.Subscription) { s.Timeout = medispatcher.Duration(100 * time.Millisecond) }
	url := func(u string) func(*medispatcher.Subscription) {
		return func(s *medispatcher.Subscription) { s.URLs = []string{u} }
	}
	secure := httptest.NewUnstartedServer(http.HandlerFunc(taken))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	for name, tt := range map[string]struct {
		change func(*medispatcher.Subscription)
		worker http.HandlerFunc
		status int
		says   string
	}{
		"refused": {nil, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "busy", http.StatusServiceUnavailable) }, 503, "status 503: busy"},
		"redirects": {nil, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/there?a=b", http.StatusTemporaryRedirect)
		}, 307, "redirects are not followed; Location: /there?a=" + medispatcher.Mask},
		"hangs":       {soon, hangs, 0, "timeout: no answer within 100ms (waiting for the header)"},
		"denied":      {url("http://127.0.0.9:1/"), taken, 0, "denied address"},
		"nobody":      {url("http://127.0.0.1:1/"), taken, 0, "connection refused"},
		"certificate": {url(secure.URL), taken, 0, "certificate"},
		"breaks off": {nil, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "99")
			w.WriteHeader(500)
			_, _ = io.WriteString(w, "half")
		}, 500, "its body broke off"},
	} {
		got := try(t, t.Context(), tt.change, tt.worker)
		if got.err != nil || got.Accepted || got.Status != tt.status || !strings.Contains(got.Problem, tt.says) || got.Request.URL == "" || got.TookMS <= 0 {
			t.Errorf("%s: %+v, %v; want status %d and %q", name, got.Trial, got.err, tt.status, tt.says)
		}
	}

	// What follows the header of a 2xx is shown, but decides nothing.
	late := try(t, t.Context(), soon, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "taken, and")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	if !late.Accepted || late.Answer != "taken, and" || !strings.Contains(late.Problem, "not whole") {
		t.Errorf("a 2xx whose body does not end: %+v", late.Trial)
	}
	for _, size := range []int{medispatcher.TrialText, medispatcher.TrialText + 1, 10 * medispatcher.TrialText} {
		long := try(t, t.Context(), nil, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", size)) })
		if cut := strings.HasSuffix(long.Answer, "…"); !long.Accepted || cut != (size > medispatcher.TrialText) || len(long.Answer) < medispatcher.TrialText {
			t.Errorf("an answer of %d bytes: %d shown, cut: %v", size, len(long.Answer), cut)
		}
	}

	ctx, stop := context.WithCancel(t.Context())
	if got := try(t, ctx, nil, func(w http.ResponseWriter, r *http.Request) { stop(); hangs(w, r) }); got.Accepted || got.Problem != "it was stopped before the answer was there" {
		t.Errorf("stopped: %+v", got.Trial)
	}
	if got := try(t, t.Context(), url("[T_ENV:other]http://h/"), taken); !errors.Is(got.err, ErrNoTarget) {
		t.Errorf("without a target: %v", got.err)
	}
}
