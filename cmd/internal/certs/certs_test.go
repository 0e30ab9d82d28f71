package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher/cmd/internal/certs"
	"github.com/solate/medispatcher/cmd/internal/certs/certstest"
)

// TestPairIsReadAgain: a changed pair is in force within two seconds, and one that is half written leaves the one before.
func TestPairIsReadAgain(t *testing.T) {
	ca := certstest.NewAuthority(t, "ca")
	first, second := ca.Issue(t, "first", "localhost"), ca.Issue(t, "second", "localhost")
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	write := func(name string, raw []byte) {
		t.Helper()
		if err := os.WriteFile(name, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(cert, first.CertPEM)
	write(key, first.KeyPEM)
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		p, err := certs.Load(cert, key, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		in := func() string {
			time.Sleep(2 * time.Second) // of the bubble's clock
			return p.Current().Leaf.Subject.CommonName
		}
		for _, step := range []struct {
			name, file string
			raw        []byte
			want       string
		}{
			{"only the certificate", cert, second.CertPEM, "first"},
			{"half of the key", key, second.KeyPEM[:50], "first"},
			{"the key", key, second.KeyPEM, "second"},
			{"nothing", cert, nil, "second"},
			{"the certificate again", cert, second.CertPEM, "second"},
			{"another pair, first the key", key, first.KeyPEM, "second"},
			{"another pair", cert, first.CertPEM, "first"},
		} {
			write(step.file, step.raw)
			if got := in(); got != step.want {
				t.Errorf("%s: %s is in force, want %s", step.name, got, step.want)
			}
		}
		before := strings.Count(log.String(), "WARN")
		if err := os.Remove(cert); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if got := in(); got != "first" {
				t.Errorf("without a file: %s", got)
			}
		}
		if told := strings.Count(log.String(), "WARN") - before; told != 1 || strings.Count(log.String(), "is in force") != 3 {
			t.Errorf("told %d times: %s", told, log.String())
		}
	})
}

// TestAuthoritiesAreReadAgain: a changed file is in force within two seconds, and one that is half written leaves those before.
func TestAuthoritiesAreReadAgain(t *testing.T) {
	first, second := certstest.NewAuthority(t, "first").File(t), certstest.NewAuthority(t, "second").File(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	read := func(name string) []byte {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	write := func(raw []byte) {
		if err := os.WriteFile(file, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(read(first))
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		a, err := certs.LoadAuthorities(file, false, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		expect := func(step, want string) {
			t.Helper()
			time.Sleep(2 * time.Second) // of the bubble's clock
			only := x509.NewCertPool()
			only.AppendCertsFromPEM(read(want))
			if !a.Current().Equal(only) {
				t.Errorf("%s: %s is not in force", step, want)
			}
		}
		expect("nothing changed", first)
		write(read(second))
		expect("another file", second)
		write(read(first)[:50])
		expect("half of a file", second)
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			expect("no file", second)
		}
		write(read(first))
		expect("a file again", first)
		if told := strings.Count(log.String(), "WARN"); told != 2 || strings.Count(log.String(), "is in force") != 2 {
			t.Errorf("told %d times: %s", told, log.String())
		}
	})
}

func TestWrongFiles(t *testing.T) {
	ca := certstest.NewAuthority(t, "ca")
	one, other := ca.Issue(t, "one", "localhost").Files(t), ca.Issue(t, "other", "localhost").Files(t)
	big := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(big, make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ cert, key, says string }{
		"missing":        {one.Cert + "x", one.Key, "the certificate " + one.Cert + "x: no such file"},
		"missing key":    {one.Cert, one.Key + "x", "the key "},
		"of another":     {one.Cert, other.Key, "do not belong together"},
		"a directory":    {filepath.Dir(one.Cert), one.Key, "is not a file"},
		"large":          {big, one.Key, "is larger than 1 MiB"},
		"the wrong ways": {one.Key, one.Cert, "are no PEM"},
	} {
		if _, err := certs.Load(test.cert, test.key, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := certs.LoadAuthorities(one.Key, false, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "holds no certificate in PEM") {
		t.Errorf("roots: %v", err)
	}
}

// TestServerAndClient: both sides show their certificates.
func TestServerAndClient(t *testing.T) {
	ca := certstest.NewAuthority(t, "ca")
	server, client := ca.Issue(t, "server", "localhost", "127.0.0.1").Files(t), ca.Issue(t, "client").Files(t)
	log := slog.New(slog.DiscardHandler)
	ours, err := certs.Load(server.Cert, server.Key, log)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := certs.Load(client.Cert, client.Key, log)
	if err != nil {
		t.Fatal(err)
	}
	roots, err := certs.LoadAuthorities(ca.File(t), false, log)
	if err != nil {
		t.Fatal(err)
	}
	cfg := ours.Server()
	cfg.ClientAuth, cfg.ClientCAs = tls.RequireAndVerifyClientCert, roots.Current()
	l, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan string, 1)
	go func() {
		defer close(seen)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		if c.(*tls.Conn).HandshakeContext(t.Context()) == nil {
			seen <- c.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName
		}
	}()
	shows := certs.Client(theirs)
	shows.RootCAs = roots.Current()
	d := tls.Dialer{Config: shows, NetDialer: &net.Dialer{}}
	c, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if got := <-seen; got != "client" {
		t.Errorf("the server saw %q", got)
	}
	_, _ = c.Close(), l.Close()
}
