package push

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/solate/medispatcher"
)

// TestAnswerThatRepeatsTheRequest: what a worker says is kept without the secrets of the request.
func TestAnswerThatRepeatsTheRequest(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 422, 503} {
		for _, before := range []int{0, keptAnswer - 20, maxErrorText - 70, maxErrorText - 40} { // what is kept ends in a secret
			w := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				w.WriteHeader(status)
				fmt.Fprintf(w, "%s %s %s %s %s", strings.Repeat("x", before), r.Header.Get("Authorization"), r.URL, r.Header.Get("X-Api-Key"), body)
			}))
			defer w.Close()
			r, s := pushingTo(t, newTCP(t), strings.Replace(w.URL, "://", "://someone:password1@", 1)+"/path?token=query-secret%2F1")(func(s *medispatcher.Subscription) {
				s.Headers = map[string]string{"X-Api-Key": "Custom header-secret"}
			})
			basic := base64.StdEncoding.EncodeToString([]byte("someone:password1"))
			texts := r.text() + " " + r.problem() + " " + string(s.Answer)
			if s.Failure != nil {
				texts += s.Failure.LastError + s.Failure.FirstError
			}
			for _, secret := range []string{basic, "password1", "query-secret", "header-secret"} {
				for n := 10; n <= len(secret); n++ { // of a part, too
					if strings.Contains(texts, secret[:n]) {
						t.Errorf("status %d: %s", status, texts)
						break
					}
				}
			}
			if before == 0 && !strings.Contains(texts, medispatcher.Mask) {
				t.Errorf("status %d: nothing is masked in %q", status, texts)
			}
		}
	}
}
