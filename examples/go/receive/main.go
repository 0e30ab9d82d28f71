// Command receive is a worker that takes what medispatcher signed:
// WEBHOOK_SECRETS="whsec_…" go run ./examples/go/receive
package main

import (
	"cmp"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/solate/medispatcher/verify"
)

func main() {
	// While a secret is changed there are two, with a space between them.
	v, err := verify.New(strings.Fields(os.Getenv("WEBHOOK_SECRETS"))...)
	if err != nil {
		log.Fatal("WEBHOOK_SECRETS: ", err)
	}
	http.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		body, err := v.Read(r)
		if err != nil {
			http.Error(w, err.Error(), verify.Status(err))
			return
		}
		// webhook-id is the same for every attempt: remember it where a repetition would do harm.
		fmt.Printf("%s %s\n", r.Header.Get("medis-topic"), body)
		w.WriteHeader(http.StatusNoContent) // any 2xx: the message is done
	})
	l, err := net.Listen("tcp", "127.0.0.1:"+cmp.Or(os.Getenv("PORT"), "8080")) //nolint:noctx // for as long as it runs
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on http://%s/\n", l.Addr())
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, ReadTimeout: time.Minute}
	log.Fatal(server.Serve(l))
}
