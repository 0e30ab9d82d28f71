package chaos_test

import (
	"crypto/rand"
	"crypto/tls"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestWorkerOverTLS: a dispatcher delivers over https as fast as it can, on connections that it keeps. The worker is
// restarted again and again, once with a certificate of an unknown authority. Then the failure record says that it was TLS
// that failed. Nothing is lost, and nothing comes twice but what was in flight when the worker died.
func TestWorkerOverTLS(t *testing.T) {
	slow(t)
	w := newWorld(t, options{concurrency: 32, retries: 2})
	known, key := certificate(t)
	strange, strangeKey := certificate(t)
	worker := newTally(t)
	var shows atomic.Pointer[tls.Config]
	restart := func(cert, key string) {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		next := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
		var ticket [32]byte
		_, _ = rand.Read(ticket[:])
		next.SetSessionTicketKeys([][32]byte{ticket}) // a new process cannot resume the sessions of the old one
		shows.Store(next)
		worker.CloseClientConnections()
	}
	restart(known, key)
	worker.TLS = &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return shows.Load(), nil },
	}
	worker.StartTLS()
	w.urls = []string{worker.URL + "/1"}
	w.subscribe()
	w.environ = append(w.environ, "SSL_CERT_FILE="+known)
	slots := len(w.subs) * (w.o.concurrency + w.o.retries)
	stop := worker.backlog(w, 2000)
	d := worker.start(w)
	batch := either(20_000, 3000)
	worker.delivered(t, batch)
	if _, opened := worker.connections(); opened > slots {
		t.Errorf("%d connections for %d deliveries, want one at most for each of %d slots", opened, batch, slots)
	}

	restarts := either(10, 2)
	for n := range restarts {
		restart(known, key)
		worker.delivered(t, (2+n)*batch)
	}
	restart(strange, strangeKey)
	record := ""
	eventually(t, "the failure record names TLS", func() bool {
		for _, sub := range w.subs {
			record = strings.Join(w.env.Client.HVals(t.Context(), "medis:{0}:failures:"+sub).Val(), " ")
			if strings.Contains(record, "tls: failed to verify certificate") {
				return true
			}
		}
		return false
	})
	restart(known, key)
	published := stop()
	worker.until(t, "everything arrives", func() bool { return worker.arrived(w.subs) >= published })
	w.settled(30 * time.Second)
	d.stop()
	w.rest()
	twice := 0
	worker.mu.Lock()
	for _, sub := range worker.subs {
		twice += sub.again[1]
	}
	worker.mu.Unlock()
	if most := (restarts + 2) * slots; twice > most {
		t.Errorf("%d messages came twice, want at most %d, those in flight at each restart", twice, most)
	}
	t.Logf("%d restarts of the worker, %d messages × %d over TLS: %d came twice", restarts+2, published, len(w.subs), twice)
	figures.add("worker over TLS, restarted %d times: %d messages × %d, lost 0, %d came twice", restarts+2, published, len(w.subs), twice)
}
