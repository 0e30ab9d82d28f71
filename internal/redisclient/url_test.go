package redisclient

import (
	"strings"
	"testing"
)

// parsed is the part of a parsed URL that the tests compare.
type parsed struct {
	addrs, user, password, master  string
	sentinelUser, sentinelPassword string
	db                             int
	cluster, tls                   bool
}

func parse(rawURL string) (parsed, error) {
	o, err := Options(rawURL)
	if err != nil {
		return parsed{}, err
	}
	return parsed{
		addrs: strings.Join(o.Addrs, " "), user: o.Username, password: o.Password, master: o.MasterName, db: o.DB,
		sentinelUser: o.SentinelUsername, sentinelPassword: o.SentinelPassword,
		// The condition for which go-redis chooses its cluster client.
		cluster: o.MasterName == "" && (o.IsClusterMode || len(o.Addrs) > 1), tls: o.TLSConfig != nil,
	}, nil
}

func TestParseURL(t *testing.T) {
	t.Parallel()
	for rawURL, want := range map[string]parsed{
		"redis://":                         {addrs: "localhost:6379"},
		"redis://h":                        {addrs: "h:6379"},
		"redis://h:7000/3":                 {addrs: "h:7000", db: 3},
		"redis://h?db=4":                   {addrs: "h:6379", db: 4},
		"redis://127.0.0.1:6379/":          {addrs: "127.0.0.1:6379"},
		"redis://[::1]:7000/1":             {addrs: "[::1]:7000", db: 1},
		"redis://[::1]":                    {addrs: "[::1]:6379"},
		"redis://u:p@h:1/2":                {addrs: "h:1", user: "u", password: "p", db: 2},
		"redis://:p@h":                     {addrs: "h:6379", password: "p"},
		"rediss://:p@h:6380/1":             {addrs: "h:6380", password: "p", db: 1, tls: true},
		"unix:///run/redis.sock":           {addrs: "/run/redis.sock"},
		"unix://u:p@/run/redis.sock?db=2":  {addrs: "/run/redis.sock", user: "u", password: "p", db: 2},
		"unix:///run/a,b@c.sock":           {addrs: "/run/a,b@c.sock"},
		"unix://:p,q@/run/redis.sock?db=2": {addrs: "/run/redis.sock", password: "p,q", db: 2},

		"redis://h1:1,h2:2":              {addrs: "h1:1 h2:2", cluster: true},
		"redis://h1,h2:2,h3/0":           {addrs: "h1:6379 h2:2 h3:6379", cluster: true},
		"redis://h1:,h2:":                {addrs: "h1:6379 h2:6379", cluster: true},
		"redis://[::1]:1,[::2]:2":        {addrs: "[::1]:1 [::2]:2", cluster: true},
		"redis://[::1],[::2]":            {addrs: "[::1]:6379 [::2]:6379", cluster: true},
		"redis://h1:1?cluster=true":      {addrs: "h1:1", cluster: true},
		"redis://h1:1?cluster=false":     {addrs: "h1:1"},
		"redis://h1:1,h2:2?cluster=true": {addrs: "h1:1 h2:2", cluster: true},
		"rediss://u:p@h1:1,h2:2/":        {addrs: "h1:1 h2:2", user: "u", password: "p", cluster: true, tls: true},

		"redis://h1:1?master_name=m":                                                 {addrs: "h1:1", master: "m"},
		"redis://u:p@h1:1,h2:2/3?master_name=m":                                      {addrs: "h1:1 h2:2", user: "u", password: "p", master: "m", db: 3},
		"redis://h1:1,h2?master_name=m&sentinel_username=su&sentinel_password=s%40p": {addrs: "h1:1 h2:6379", master: "m", sentinelUser: "su", sentinelPassword: "s@p"},

		"redis://:p@ss@h:1":           {addrs: "h:1", password: "p@ss"},
		"redis://:p%40ss@h:1":         {addrs: "h:1", password: "p@ss"},
		"redis://:a,b@h:1/2":          {addrs: "h:1", password: "a,b", db: 2},
		"redis://:a,b@h1:1,h2:2":      {addrs: "h1:1 h2:2", password: "a,b", cluster: true},
		"redis://:h1,h2@h1,h2":        {addrs: "h1:6379 h2:6379", password: "h1,h2", cluster: true},
		"redis://h1,h2:h1,h2@h1,h2/0": {addrs: "h1:6379 h2:6379", user: "h1,h2", password: "h1,h2", cluster: true},
		"redis://:100%25@h":           {addrs: "h:6379", password: "100%"},
		"redis://:%2F%3F%23%2C@h1,h2": {addrs: "h1:6379 h2:6379", password: "/?#,", cluster: true},
		"redis://:p:q@h1,h2":          {addrs: "h1:6379 h2:6379", password: "p:q", cluster: true},
	} {
		if got, err := parse(rawURL); err != nil || got != want {
			t.Errorf("%s\ngot  %+v, %v\nwant %+v", rawURL, got, err, want)
		}
	}
}

func TestParseURLRefuses(t *testing.T) {
	t.Parallel()
	const form = "write redis://"
	for rawURL, want := range map[string]string{
		"":                                     form,
		"h:6379":                               form,
		"127.0.0.1:6379":                       form,
		"http://h":                             form,
		"redis://h:port":                       form,
		"redis://h/x":                          "database",
		"redis://h/0/1":                        form,
		"redis://h?colour=red":                 "colour",
		"redis://h?dial_timeout=soon":          "cannot be used: invalid dial_timeout duration; write",
		"redis://h?max_retries=many":           "cannot be used: invalid max_retries number; write",
		"redis://h?cluster=yes":                "cluster",
		"redis://h1,h2/1":                      "a Redis Cluster has only database 0",
		"redis://h1,h2?db=1":                   "a Redis Cluster has only database 0",
		"redis://h1/1?cluster=true":            "a Redis Cluster has only database 0",
		"redis://h?cluster=true&master_name=m": "choose one",
		"unix://":                              form,
		"redis://h1,":                          "empty",
		"redis://,h2":                          "empty",
		"redis://h1,,h2":                       "empty",
		"redis://h1:1,h2:port":                 form,
		"redis://:12#34@h":                     "#",
	} {
		_, err := Options(rawURL)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: error %v, want %q in it", rawURL, err, want)
		}
	}
}

// TestErrorsHideThePassword: an unescaped character may end the host early. The text after it is
// still the password.
func TestErrorsHideThePassword(t *testing.T) {
	t.Parallel()
	for _, rawURL := range []string{
		"redis://:hunter2%@h",
		"redis://:hunter2@h:port",
		"redis://:hunter2@h/x",
		"redis://:hunter2@h/0/1",
		"redis://:hunter2@h?colour=red",
		"redis://:hunter2@h1,h2/1",
		"redis://:hunter2@h1,/",
		"redis://:hunter2@h1,h2:port",
		"redis://:hunter2@h?cluster=maybe",
		"http://:hunter2@h",
		"redis:/u:hunter2@h",
		"redis:u:hunter2@h",
		"redis:/u:hunter2",
		"redis:u:hunter2",
		":hunter2@h",
		"u:hunter2@h:6379",
		"redis://:1/hunter2@h",
		"redis://:1/a/hunter2@h",
		"redis://:1?hunter2@h",
		"redis://:1?a=hunter2@h",
		"redis://:1?db=hunter2@h",
		"redis://:1#hunter2@h",
		"redis://:1/hunter2,x@h1,h2",
		"redis://:x hunter2@h/x",
		"redis://:\nhunter2@h",
		"redis://h?sentinel_password=hunter2&colour=red",
		"redis://h?master_name=m&sentinel_password=hunter2&cluster=true",
	} {
		if _, err := Options(rawURL); err == nil || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%q: error %v", rawURL, err)
		}
	}
}
