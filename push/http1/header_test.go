package http1_test

import (
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/solate/medispatcher/push/http1"
)

// TestHeaderOfAnswer: all of the header is there for who asks, however the answer was read.
func TestHeaderOfAnswer(t *testing.T) {
	const fields = "X-Two: a\r\nx-two:  b \r\nServer: \"<i>\r\n"
	for name, reply := range map[string]string{
		"plain":   "HTTP/1.1 200 OK\r\n" + fields + "Content-Length: 2\r\n\r\nok",
		"chunked": "HTTP/1.1 500 No\r\n" + fields + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"none":    "HTTP/1.1 204 None\r\n" + fields + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, always(reply))
			snd := newClient(t, http1.Options{}).Sender(t.Context())
			defer snd.Release()
			a, err := snd.Post(newRequest(t, s.url, "x"), time.Now().Add(soon))
			if err != nil {
				t.Fatal(err)
			}
			want := http.Header{"X-Two": {"a", "b"}, "Server": {`"<i>`}}
			got := a.Header()
			got.Del("Content-Length")
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}
