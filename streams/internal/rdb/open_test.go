package rdb

import (
	"strings"
	"testing"
)

// TestOptionsForADispatcher: the client must not repeat a step by itself when a reply is lost.
func TestOptionsForADispatcher(t *testing.T) {
	t.Parallel()
	for _, rawURL := range []string{"redis://h", "redis://h1,h2", "redis://h?master_name=m", "unix:///s", "redis://h?max_retries=5&pool_size=99&protocol=3"} {
		o, err := options(rawURL)
		if err != nil {
			t.Fatal(err)
		}
		if o.MaxRetries != -1 || o.PoolSize != poolSize || o.DialTimeout <= 0 || o.ReadTimeout <= 0 || o.WriteTimeout <= 0 || !o.ContextTimeoutEnabled {
			t.Errorf("%s: %+v", rawURL, o)
		}
	}
}

func TestCheckPrefix(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"medis", "a", "a:b", "A-b_c.1", "préfixe"} {
		if err := CheckPrefix(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", " ", "a b", "{a}", "a{", "a}", "a*", "a?", "a[b", "a]", "a\tb", "a\n", "a\r"} {
		if err := CheckPrefix(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
		if _, err := Open(Config{URL: "redis://h", Prefix: bad, Partitions: 1}); err == nil {
			t.Errorf("Open with %q", bad)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]Config{
		"no partitions":    {URL: "redis://h", Prefix: "medis"},
		"negative readers": {URL: "redis://h", Prefix: "medis", Partitions: 1, Readers: -1},
		"no URL":           {Prefix: "medis", Partitions: 1},
	} {
		if s, err := Open(cfg); err == nil {
			t.Errorf("%s: opened", name)
			s.Close()
		}
	}
}

func TestOpenHidesThePassword(t *testing.T) {
	t.Parallel()
	const rawURL = "redis://:hunter2@h/x"
	if _, err := Open(Config{URL: rawURL, Prefix: "medis", Partitions: 1}); err == nil || strings.Contains(err.Error(), "hunter") {
		t.Error(err)
	}
}

func TestOpenDoesNotConnect(t *testing.T) {
	t.Parallel()
	for _, rawURL := range []string{"redis://127.0.0.1:1", "redis://127.0.0.1:1,127.0.0.1:2", "redis://127.0.0.1:1?master_name=m", "unix:///nowhere"} {
		s, err := Open(Config{URL: rawURL, Prefix: "medis", Partitions: 2, Readers: 3, ID: "me"})
		if err != nil {
			t.Errorf("%s: %v", rawURL, err)
			continue
		}
		if s.Config.Partitions != 2 || s.Config.ID != "me" {
			t.Errorf("%d partitions, id %q", s.Config.Partitions, s.Config.ID)
		}
		if err := s.Close(); err != nil {
			t.Errorf("close of %s: %v", rawURL, err)
		}
	}
}
