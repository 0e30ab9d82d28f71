package push

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
)

// TestShownRequestIsTheOneThatIsSent: what is shown has every header that goes out, but for those that HTTP itself needs, and
// nothing of what is secret.
func TestShownRequestIsTheOneThatIsSent(t *testing.T) {
	t.Parallel()
	var got *http.Request
	var body []byte
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
	}))
	t.Cleanup(srv.Close)
	for _, encoding := range []string{medispatcher.EncodingJSON, medispatcher.EncodingForm, medispatcher.EncodingCloudEvents} {
		sub := subscription("a")
		sub.URLs = []string{strings.Replace(srv.URL, "http://", "http://ann:hunter2@", 1) + "/hook?x=1"}
		sub.Secret, sub.Encoding = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz", encoding
		sub.Headers = map[string]string{"X-Api-Key": "hunter2", "X-Team": "blue"}
		d := delivery(func(d *medispatcher.Delivery) {
			d.Message.Headers = map[string]string{"traceparent": "00-1", "x-token": "of the message"}
		})
		client := http1.New(http1.Options{})
		t.Cleanup(client.Close)
		p := &poster{agent: "medispatcher/1"}
		if r := attempt(t, client, p, newSettings(&sub, ""), d); got == nil {
			t.Fatalf("%+v", r)
		}
		shown, err := Show(&sub, d, "", "medispatcher/1", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if want := srv.URL + strings.Replace(got.URL.String(), "x=1", "x="+medispatcher.Mask, 1); shown.URL != want || !bytes.Equal(shown.Body, body) || !shown.Masked {
			t.Errorf("%s: got %s %q, want %s %q", encoding, shown.URL, shown.Body, want, body)
		}
		for _, h := range shown.Headers {
			sent := got.Header.Get(h.Name)
			switch {
			case h.Name == "Authorization" || h.Name == "X-Api-Key":
				if h.Value != medispatcher.Mask || sent == "" {
					t.Errorf("%s: %q is shown, %q was sent", h.Name, h.Value, sent)
				}
			case sent != h.Value && !strings.HasPrefix(h.Name, "Webhook-"): // a second may be over
				t.Errorf("%s: %q is shown, %q was sent", h.Name, h.Value, sent)
			}
			got.Header.Del(h.Name)
		}
		got.Header.Del("Content-Length")
		if len(got.Header) > 0 {
			t.Errorf("%s: not shown: %v", encoding, got.Header)
		}
	}
	sub := subscription("a")
	sub.URLs = []string{"[T_ENV:other]http://h/"}
	if _, err := Show(&sub, delivery(nil), "", "", time.Now()); err == nil || err != ErrNoTarget { //nolint:errorlint // it is this one
		t.Errorf("without a target: %v", err)
	}
}
