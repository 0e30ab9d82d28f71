package verify_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/solate/medispatcher/verify"
)

// A worker takes pushes with a good signature alone.
func ExampleVerifier_Handler() {
	v, err := verify.New("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /hook", v.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Println(r.Header.Get("medis-topic"), string(body))
		w.WriteHeader(http.StatusNoContent) // any 2xx: the message is done
	})))

	// Anybody can reach the worker. Without a signature nobody gets past it.
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/hook", strings.NewReader(`{"order":42}`)))
	fmt.Println(w.Code)
	fmt.Print(w.Body)
	// Output:
	// 401
	// verify: the push is not signed: it has no webhook-id header; is there a secret in the subscription?
}

// While a secret is changed, a worker knows both. medispatcher signs with both for MEDIS_SECRET_OVERLAP.
func ExampleNew_twoSecrets() {
	v, err := verify.New(
		"whsec_QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJC", // the new one
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", // the old one, until nobody signs with it
	)
	if err != nil {
		panic(err)
	}
	v.Now = func() time.Time { return time.Unix(1614265330, 0) } // for the example alone
	h := http.Header{}
	h.Set(verify.HeaderID, "msg_p5jXN8AQM9LWM0D4loKWxJek")
	h.Set(verify.HeaderTimestamp, "1614265330")
	h.Set(verify.HeaderSignature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
	fmt.Println(v.Check(h, []byte(`{"test": 2432232314}`)))
	// Output: <nil>
}

// A worker that answers by itself reads and checks the body in one call.
func ExampleVerifier_Read() {
	v, err := verify.New("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		panic(err)
	}
	hook := func(w http.ResponseWriter, r *http.Request) {
		body, err := v.Read(r)
		if err != nil {
			http.Error(w, err.Error(), verify.Status(err))
			return
		}
		fmt.Printf("%s\n", body)
		w.WriteHeader(http.StatusNoContent) // any 2xx: the message is done
	}

	// In a test of the worker, Sign does what medispatcher does.
	body := `{"order":42}`
	r := httptest.NewRequest(http.MethodPost, "/hook", strings.NewReader(body))
	if err := verify.Sign(r.Header, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "order-42", time.Now(), []byte(body)); err != nil {
		panic(err)
	}
	w := httptest.NewRecorder()
	hook(w, r)
	fmt.Println(w.Code)
	// Output:
	// {"order":42}
	// 204
}
