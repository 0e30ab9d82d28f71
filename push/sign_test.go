package push

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
)

const (
	vectorSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	otherSecret  = "whsec_QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJC"
)

// TestSignatureOfTheSpecification is the example of Standard Webhooks.
func TestSignatureOfTheSpecification(t *testing.T) {
	t.Parallel()
	sg := newSigner(&medispatcher.Subscription{Secret: vectorSecret})
	got := string(sg.sign(nil, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`)))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 999_999_999)
	by := func(key string) string {
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte("id.1700000000.body"))
		return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	current, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(vectorSecret, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	first, second := by(string(current)), by(strings.Repeat("B", 24))
	for _, tc := range []struct {
		name, secret, previous string
		until                  time.Duration // from now
		want                   string
	}{
		{"no secret", "", "", 0, ""},
		{"one", vectorSecret, "", 0, first},
		{"another", otherSecret, "", 0, second},
		{"two while rotated", vectorSecret, otherSecret, time.Nanosecond, first + " " + second},
		{"the new one stands first", otherSecret, vectorSecret, time.Hour, second + " " + first},
		{"one at the end of it", vectorSecret, otherSecret, 0, first},
		{"one after it", vectorSecret, otherSecret, -time.Hour, first},
		{"the secret was removed", "", otherSecret, time.Hour, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sg := newSigner(&medispatcher.Subscription{Secret: tc.secret, PreviousSecret: tc.previous, PreviousUntil: now.Add(tc.until)})
			for range 2 { // what it computes with is used again
				if !sg.signs() {
					if tc.want != "" {
						t.Error("does not sign")
					}
				} else if got := string(sg.sign([]byte("before "), "id", now, []byte("body"))); got != "before "+tc.want {
					t.Errorf("got  %s\nwant %s", got, tc.want)
				}
			}
		})
	}
}
