package main

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/solate/medispatcher/cmd/internal/certs/certstest"
	"github.com/solate/medispatcher/cmd/internal/cli"
)

func TestHealthOfDispatcher(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	r := startServe(t, c.env, "serve")
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(r.base, "http://"))
	eventually(t, "it is ready", func() bool { code, _ := r.call(http.MethodGet, "/readyz", ""); return code == http.StatusOK })
	for _, listen := range []string{"127.0.0.1:" + port, "0.0.0.0:" + port, ":" + port, "[::]:" + port, "localhost:" + port} {
		env := []string{"MEDIS_LISTEN=" + listen, "HTTP_PROXY=http://127.0.0.1:1"}
		if code, out, stderr := runWith(t, nil, env, "health"); code != cli.ExitOK || stderr != "" || !strings.HasSuffix(out, ":"+port+" is ready\n") {
			t.Errorf("%s: exit %d, stdout %q, stderr %q", listen, code, out, stderr)
		}
	}
	if r.stop(); t.Failed() {
		return
	}
	c.env = append(c.env, "MEDIS_LISTEN=[::]:"+port)
	c.fails(cli.ExitFailed, "", []string{"health"}, "nothing listens at [::]:"+port+" (dial tcp 127.0.0.1:"+port+": connect: connection refused): start a dispatcher")
}

func TestHealthOfOthers(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	for _, c := range []struct {
		answers http.HandlerFunc
		want    string
	}{
		{answer(503, `{"title":"Service Unavailable","detail":"not ready: stopping: deliveries in flight are ending"}`), "is not ready: stopping: deliveries in flight are ending"},
		{answer(404, "no such page"), "answers 404 Not Found to GET /readyz, so it is no dispatcher"},
		{func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "closed the connection without an answer, so it is no dispatcher, or is ending"},
		{func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "does not answer within 2s"},
	} {
		s := httptest.NewServer(c.answers)
		p := &program{t: t, env: []string{"MEDIS_LISTEN=" + s.Listener.Addr().String()}}
		p.fails(cli.ExitFailed, "", []string{"health"}, c.want)
		s.Close()
	}
}

func TestHealthWithoutAddress(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]string{
		"127.0.0.1:0": "MEDIS_LISTEN=127.0.0.1:0: the system chose the port",
		"5601":        "MEDIS_LISTEN=5601: give host:port",
	} {
		p := &program{t: t, env: []string{"MEDIS_LISTEN=" + listen}}
		p.fails(cli.ExitUsage, "", []string{"health"}, want)
	}
}

// TestServeOverTLS: a dispatcher with a certificate, asked by a client that trusts it and by medispatcher health.
func TestServeOverTLS(t *testing.T) {
	t.Parallel()
	ca := certstest.NewAuthority(t, "our authority")
	files := ca.Issue(t, "panel", "localhost", "127.0.0.1").Files(t)
	c := newCLI(t)
	r := startServe(t, append(c.env, "MEDIS_TLS_CERT="+files.Cert, "MEDIS_TLS_KEY="+files.Key), "serve")
	at := strings.TrimPrefix(r.base, "http://")
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.PEM)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	get := func() (*http.Response, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+at+"/readyz", nil)
		if err != nil {
			t.Fatal(err)
		}
		return client.Do(req)
	}
	eventually(t, "it is ready over TLS", func() bool {
		resp, err := get()
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK && resp.TLS.PeerCertificates[0].Subject.CommonName == "panel"
	})
	env := []string{"MEDIS_LISTEN=" + at, "MEDIS_TLS_CERT=" + files.Cert, "MEDIS_TLS_KEY=" + files.Key}
	if code, out, stderr := runWith(t, nil, env, "health"); code != cli.ExitOK || !strings.HasSuffix(out, " is ready\n") {
		t.Errorf("health: exit %d, %q, %q", code, out, stderr)
	}
	r.stop()
	c.env = append(c.env, "MEDIS_TLS_CERT="+files.Key, "MEDIS_TLS_KEY="+files.Key)
	c.fails(cli.ExitUsage, "", []string{"serve"}, "certificate and key do not belong together, or are no PEM")
}
