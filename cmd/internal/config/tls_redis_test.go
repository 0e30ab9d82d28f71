package config_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher/cmd/internal/certs/certstest"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/internal/config"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// reach opens the Redis of a configuration and asks it for the subscriptions.
func reach(t *testing.T, env ...string) error {
	t.Helper()
	cfg, _, err := config.Load(env, "", config.NeedsRedis)
	if err != nil {
		return err
	}
	s, err := streams.Open(cfg.Streams("me", slog.New(slog.DiscardHandler)))
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Ping(ctx); err != nil {
		return cli.Explain(err, cfg.RedisURL)
	}
	_, err = s.SubscriptionIDs(ctx)
	return err
}

// tlsArgs make a redis-server take TLS on a port.
func tlsArgs(t *testing.T, port string, ca *certstest.Authority, server certstest.Cert, clients string) []string {
	files := server.Files(t)
	return []string{"--tls-port", port, "--tls-cert-file", files.Cert, "--tls-key-file", files.Key, "--tls-ca-cert-file", ca.File(t), "--tls-auth-clients", clients}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// TestRedisOverTLS: a real redis-server with certificates of an authority of our own.
func TestRedisOverTLS(t *testing.T) {
	t.Parallel()
	ca, stranger := certstest.NewAuthority(t, "our authority"), certstest.NewAuthority(t, "a stranger")
	port, strict, old := freePort(t), freePort(t), freePort(t)
	streamstest.Real(t, tlsArgs(t, port, ca, ca.Issue(t, "redis", "localhost"), "no")...)
	streamstest.Real(t, tlsArgs(t, strict, ca, ca.Issue(t, "redis", "localhost"), "yes")...)
	streamstest.Real(t, tlsArgs(t, old, ca, ca.IssueUntil(t, time.Now().Add(-time.Minute), "old redis", "localhost"), "no")...)
	plain := streamstest.Real(t)
	client, other := ca.Issue(t, "medispatcher").Files(t), stranger.Issue(t, "medispatcher").Files(t)
	trust := "MEDIS_REDIS_CA=" + ca.File(t)
	for name, test := range map[string]struct {
		env  []string
		says []string // nothing: it works
	}{
		"trusted":                       {[]string{"MEDIS_REDIS_URL=rediss://localhost:" + port, trust}, nil},
		"with a client certificate":     {[]string{"MEDIS_REDIS_URL=rediss://localhost:" + strict, trust, "MEDIS_REDIS_CERT=" + client.Cert, "MEDIS_REDIS_KEY=" + client.Key}, nil},
		"not trusted":                   {[]string{"MEDIS_REDIS_URL=rediss://localhost:" + port}, []string{`its certificate "CN=redis" is signed by "CN=our authority", which is not trusted`, "set MEDIS_REDIS_CA"}},
		"another authority":             {[]string{"MEDIS_REDIS_URL=rediss://localhost:" + port, "MEDIS_REDIS_CA=" + stranger.File(t)}, []string{"which is not trusted"}},
		"another name":                  {[]string{"MEDIS_REDIS_URL=rediss://127.0.0.1:" + port, trust}, []string{`"CN=redis" is not for 127.0.0.1 but for localhost`, "use a name in MEDIS_REDIS_URL"}},
		"no client certificate":         {[]string{"MEDIS_REDIS_URL=rediss://localhost:" + strict, trust}, []string{"client certificate", "MEDIS_REDIS_CERT"}},
		"a client of another authority": {[]string{"MEDIS_REDIS_URL=rediss://localhost:" + strict, trust, "MEDIS_REDIS_CERT=" + other.Cert, "MEDIS_REDIS_KEY=" + other.Key}, []string{"MEDIS_REDIS_CERT"}},
		"expired":                       {[]string{"MEDIS_REDIS_URL=rediss://localhost:" + old, trust}, []string{`its certificate "CN=old redis" ended on 2`, "renew the certificate"}},
		"a Redis without TLS":           {[]string{"MEDIS_REDIS_URL=rediss://" + plain.Server.Addr}, []string{"does not answer in time", "does not speak TLS"}},
		"TLS without rediss":            {[]string{"MEDIS_REDIS_URL=redis://localhost:" + port, trust}, []string{"MEDIS_REDIS_CA=", "no URL of Redis begins with rediss://"}},
		"a key without certificate":     {[]string{"MEDIS_REDIS_URL=rediss://localhost:1", "MEDIS_REDIS_KEY=" + client.Key}, []string{"MEDIS_REDIS_KEY=", "set MEDIS_REDIS_CERT"}},
		"a missing file":                {[]string{"MEDIS_REDIS_URL=rediss://localhost:1", "MEDIS_REDIS_CA=/nowhere/ca.pem"}, []string{"MEDIS_REDIS_CA=/nowhere/ca.pem: no such file or directory"}},
	} {
		err := reach(t, test.env...)
		if len(test.says) == 0 {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		for _, want := range test.says {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
	}
}

// TestRedisAuthorityChanges: a store that is open trusts a new authority once the file names it.
func TestRedisAuthorityChanges(t *testing.T) {
	t.Parallel()
	before, after := certstest.NewAuthority(t, "before"), certstest.NewAuthority(t, "after")
	port := freePort(t)
	streamstest.Real(t, tlsArgs(t, port, after, after.Issue(t, "redis", "localhost"), "no")...)
	file := before.File(t)
	cfg, _, err := config.Load([]string{"MEDIS_REDIS_URL=rediss://localhost:" + port, "MEDIS_REDIS_CA=" + file}, "", config.NeedsRedis)
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan string, 10)
	store, err := streams.Open(cfg.Streams("test", slog.New(telling(told))))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	if err := store.Probe(t.Context()); err == nil || !strings.Contains(err.Error(), `its certificate "CN=redis" is signed by "CN=after", which is not trusted`) {
		t.Fatalf("before: %v", err)
	}
	raw, err := os.ReadFile(after.File(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := store.Probe(t.Context())
		if err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("after: %v", err)
		}
	}
	if text := <-told; text != "a changed file of authorities is in force" {
		t.Errorf("the log says %q", text)
	}
}

// telling is a handler that sends the texts of records.
type telling chan string

func (telling) Enabled(context.Context, slog.Level) bool         { return true }
func (to telling) Handle(_ context.Context, r slog.Record) error { to <- r.Message; return nil }
func (to telling) WithAttrs([]slog.Attr) slog.Handler            { return to }
func (to telling) WithGroup(string) slog.Handler                 { return to }

// TestClusterOverTLS: each node is checked by the address at which it is dialed, not by that of the first one.
func TestClusterOverTLS(t *testing.T) {
	t.Parallel()
	ca := certstest.NewAuthority(t, "our authority")
	client := ca.Issue(t, "medispatcher").Files(t)
	// The first node is named by a name that the certificates do not have for the others: those are announced by their address.
	args := append(tlsArgs(t, streamstest.FreePort, ca, ca.Issue(t, "node", "localhost", "127.0.0.1"), "yes"), "--tls-cluster", "yes")
	env := streamstest.Cluster(t, args...)
	if err := reach(t, "MEDIS_REDIS_URL=rediss://localhost:"+env.OtherPorts[0]+"?cluster=true", "MEDIS_PARTITIONS=16",
		"MEDIS_REDIS_CA="+ca.File(t), "MEDIS_REDIS_CERT="+client.Cert, "MEDIS_REDIS_KEY="+client.Key); err != nil {
		t.Error(err)
	}
	wrong := append(tlsArgs(t, streamstest.FreePort, ca, ca.Issue(t, "node", "localhost"), "no"), "--tls-cluster", "yes")
	env = streamstest.Cluster(t, wrong...)
	err := reach(t, "MEDIS_REDIS_URL=rediss://localhost:"+env.OtherPorts[0]+"?cluster=true", "MEDIS_REDIS_CA="+ca.File(t))
	if err == nil || !strings.Contains(err.Error(), "is not for 127.0.0.1 but for localhost") {
		t.Errorf("nodes announced by an address that their certificate lacks: %v", err)
	}
}
