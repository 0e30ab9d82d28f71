package chaos_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	cryptorand "crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher/streams/streamstest"
)

// TestWaysToRedis: a dispatcher delivers, is killed, and another goes on, over a unix socket, over TLS, and as a user who
// may do no more than docs/OPERATIONS.md says. Other tests have Cluster and Sentinel.
func TestWaysToRedis(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) (env *streamstest.Env, url string, environ []string){
		"unix socket": func(t *testing.T) (*streamstest.Env, string, []string) {
			dir, err := os.MkdirTemp("", "medis") //nolint:usetesting // the path of a socket must be short
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			socket := filepath.Join(dir, "s")
			return streamstest.Real(t, "--unixsocket", socket), "unix://" + socket, nil
		},
		"TLS": func(t *testing.T) (*streamstest.Env, string, []string) {
			cert, key := certificate(t)
			addr := freeAddr(t)
			_, port, _ := net.SplitHostPort(addr)
			env := streamstest.Real(t, "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-auth-clients", "no")
			return env, "rediss://" + addr, []string{"SSL_CERT_FILE=" + cert}
		},
		"a user with few rights": func(t *testing.T) (*streamstest.Env, string, []string) {
			env := streamstest.Real(t)
			env.Server.Do(t, documentedUser(t)...)
			return env, "redis://medis:PASSWORD@" + env.Server.Addr, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			env, url, environ := open(t)
			w := newWorld(t, options{delay: 5 * time.Millisecond, plan: third, env: env, url: url, deadAfter: time.Second})
			w.environ = append(w.environ, environ...)
			d := w.start()
			sent := w.publishing(0, either(3000, 300), 0)
			for w.took() < 100 {
				<-w.news
			}
			w.kill(&d)
			sent()
			w.await(30 * time.Second)
			w.healed(1)
			v := w.judge()
			if v.dead > 0 {
				t.Errorf("%d dead letters, want none", v.dead)
			}
			d.stop()
			w.rest()
			if report := w.amend(); len(report.Dead) > 0 || report.givenBack() > 0 {
				t.Errorf("the amender found %+v, want nothing", report)
			}
			t.Log(v)
			figures.add("%s: %s", name, v)
		})
	}
}

// documentedUser is the command of docs/OPERATIONS.md that makes a user for medispatcher.
func documentedUser(t *testing.T) (command []any) {
	t.Helper()
	text, err := os.ReadFile("../docs/OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "ACL SETUSER ") {
			for word := range strings.FieldsSeq(line) {
				command = append(command, word)
			}
			return command
		}
	}
	t.Fatal("docs/OPERATIONS.md has no ACL SETUSER, want the user that a dispatcher needs")
	return nil
}

// certificate writes a new certificate of 127.0.0.1 that is its own root, and its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), cryptorand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	is := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	public, err := x509.CreateCertificate(cryptorand.Reader, is, is, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, bytes []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", public), write("key.pem", "PRIVATE KEY", secret)
}

// freeAddr is an address of the loopback that nobody listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
