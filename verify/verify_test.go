package verify_test

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/solate/medispatcher/verify"
)

const (
	secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" // of the specification
	other  = "whsec_QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJC"
)

var now = time.Unix(1614265330, 999)

func verifier(t *testing.T, secrets ...string) *verify.Verifier {
	t.Helper()
	v, err := verify.New(secrets...)
	if err != nil {
		t.Fatal(err)
	}
	v.Now = func() time.Time { return now }
	return v
}

func sign(t *testing.T, by, id string, at time.Time, body string) string {
	t.Helper()
	h := http.Header{}
	if err := verify.Sign(h, by, id, at, []byte(body)); err != nil {
		t.Fatal(err)
	}
	return h.Get(verify.HeaderSignature)
}

func header(id string, at time.Time, signature string) http.Header {
	h := http.Header{}
	for name, value := range map[string]string{
		verify.HeaderID: id, verify.HeaderTimestamp: strconv.FormatInt(at.Unix(), 10), verify.HeaderSignature: signature,
	} {
		if value != "" {
			h.Set(name, value)
		}
	}
	return h
}

// TestSpecification is the example of Standard Webhooks.
func TestSpecification(t *testing.T) {
	h := header("msg_p5jXN8AQM9LWM0D4loKWxJek", now, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
	if err := verifier(t, secret).Check(h, []byte(`{"test": 2432232314}`)); err != nil {
		t.Error(err)
	}
	if err := verifier(t, secret).Check(h, []byte(`{"test": 2432232315}`)); !errors.Is(err, verify.ErrSignature) {
		t.Error("another body:", err)
	}
	signed := http.Header{}
	if err := verify.Sign(signed, secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", now, []byte(`{"test": 2432232314}`)); err != nil || !maps.EqualFunc(signed, h, slices.Equal) {
		t.Error(signed, err)
	}
	if err := verify.Sign(signed, "whsec_", "a", now, nil); err == nil {
		t.Error("signed without a secret")
	}
}

func TestCheck(t *testing.T) {
	const id, body = "0-1-0", `{"order":42}`
	by := func(secret string, at time.Time) string { return sign(t, secret, id, at, body) }
	good := by(secret, now)
	for _, tc := range []struct {
		name    string
		secrets []string
		h       http.Header
		want    error
	}{
		{"good", []string{secret}, header(id, now, good), nil},
		{"another secret", []string{other}, header(id, now, good), verify.ErrSignature},
		{"the old secret of two", []string{other, secret}, header(id, now, good), nil},
		{"the new secret of two", []string{secret, other}, header(id, now, good), nil},
		{"two signatures, one known", []string{secret}, header(id, now, by(other, now)+" "+good), nil},
		{"two signatures, none known", []string{secret}, header(id, now, by(other, now)+" "+by(other, now)), verify.ErrSignature},
		{"a version of later days stands before", []string{secret}, header(id, now, "v1a,AAAA "+good), nil},
		{"only a version of later days", []string{secret}, header(id, now, "v2,"+strings.TrimPrefix(good, "v1,")), verify.ErrSignature},
		{"no version", []string{secret}, header(id, now, strings.TrimPrefix(good, "v1,")), verify.ErrSignature},
		{"a part of it", []string{secret}, header(id, now, good[:len(good)-4]), verify.ErrSignature},
		{"an empty one", []string{secret}, header(id, now, "v1,"), verify.ErrSignature},
		{"spaces alone", []string{secret}, header(id, now, "  "), verify.ErrSignature},
		{"behind many others", []string{secret}, header(id, now, strings.Repeat("v1,AAAA ", 1000)+good), verify.ErrSignature},
		{"of another id", []string{secret}, header("0-1-1", now, good), verify.ErrSignature},
		{"of another time", []string{secret}, header(id, now.Add(time.Second), good), verify.ErrSignature},
		{"no signature", []string{secret}, header(id, now, ""), verify.ErrUnsigned},
		{"no id", []string{secret}, header("", now, good), verify.ErrUnsigned},
		{"no headers", []string{secret}, nil, verify.ErrUnsigned},
		{"as old as may be", []string{secret}, header(id, now.Add(-5*time.Minute+time.Second), by(secret, now.Add(-5*time.Minute+time.Second))), nil},
		{"too old", []string{secret}, header(id, now.Add(-5*time.Minute), by(secret, now.Add(-5*time.Minute))), verify.ErrTime},
		{"as far ahead as may be", []string{secret}, header(id, now.Add(5*time.Minute), by(secret, now.Add(5*time.Minute))), nil},
		{"too far ahead", []string{secret}, header(id, now.Add(6*time.Minute), by(secret, now.Add(6*time.Minute))), verify.ErrTime},
		{"the least time there is", []string{secret}, http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {"-9223372036854775808"}, "Webhook-Signature": {good}}, verify.ErrTime},
		{"the last time there is", []string{secret}, http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {"9223372036854775807"}, "Webhook-Signature": {good}}, verify.ErrTime},
		{"no time", []string{secret}, http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {"now"}, "Webhook-Signature": {good}}, verify.ErrTime},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := verifier(t, tc.secrets...).Check(tc.h, []byte(body))
			if !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			if err != nil && (strings.Contains(err.Error(), "whsec_") || strings.Contains(err.Error(), good)) {
				t.Error("the error tells a secret:", err)
			}
		})
	}
}

func TestTolerance(t *testing.T) {
	v := verifier(t, secret)
	at := now.Add(-time.Hour)
	h := header("a", at, sign(t, secret, "a", at, ""))
	v.Tolerance = 2 * time.Hour
	if err := v.Check(h, nil); err != nil {
		t.Error(err)
	}
	v.Tolerance = time.Minute
	if err := v.Check(h, nil); !errors.Is(err, verify.ErrTime) {
		t.Error(err)
	}
}

func TestSecretsAreChecked(t *testing.T) {
	for name, secrets := range map[string][]string{
		"none": {}, "an empty one": {""}, "without its beginning": {strings.TrimPrefix(secret, "whsec_")}, "too short": {secret, "whsec_AAAA"},
	} {
		if v, err := verify.New(secrets...); err == nil || v != nil || strings.Contains(err.Error(), "AAAA") {
			t.Errorf("%s: %v, %v", name, v, err)
		}
	}
	_, err := verify.New(secret, "whsec_AAAA")
	if err == nil || !strings.Contains(err.Error(), "secret 2 of 2: it holds 3 bytes behind whsec_; give 24 to 64") {
		t.Error(err)
	}
}

func TestHandler(t *testing.T) {
	const body = `{"order":42}`
	v := verifier(t, secret)
	v.MaxBody = int64(len(body))
	var got []string
	h := v.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil || r.ContentLength != int64(len(b)) {
			t.Error(err, r.ContentLength)
		}
		got = append(got, string(b))
		w.WriteHeader(http.StatusAccepted)
	}))
	for _, tc := range []struct {
		name   string
		body   io.Reader
		signed string // the text that is signed; "": nothing is
		status int
		says   string
	}{
		{"good", strings.NewReader(body), body, http.StatusAccepted, ""},
		{"another body", strings.NewReader(`{"order":43}`), body, http.StatusUnauthorized, "or the body was changed"},
		{"not signed", iotest.ErrReader(errors.New("this must not be read")), "", http.StatusUnauthorized, "webhook-signature"},
		{"a byte too long", strings.NewReader(body + " "), body + " ", http.StatusRequestEntityTooLarge, "more than 12 bytes"},
		{"an endless one", endless{}, body, http.StatusRequestEntityTooLarge, "more than 12 bytes"},
		{"the connection breaks", iotest.ErrReader(io.ErrUnexpectedEOF), body, http.StatusBadRequest, "cannot read the body"},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", tc.body)
		if r.Header = header("a", now, ""); tc.signed != "" {
			r.Header = header("a", now, sign(t, secret, "a", now, tc.signed))
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.says) {
			t.Errorf("%s: %d %q", tc.name, w.Code, w.Body)
		}
	}
	if len(got) != 1 || got[0] != body {
		t.Errorf("passed on: %q", got)
	}
}

// endless is a body without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestStatus(t *testing.T) {
	if got := verify.Status(nil); got != http.StatusNoContent {
		t.Error(got)
	}
}
