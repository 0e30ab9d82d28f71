// Package redisclient makes clients of go-redis from Redis URLs, which repeat nothing by themselves. The dispatchers and package
// publish use it.
package redisclient

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// errURL says what is wrong without quoting the URL.
var errURL = errors.New("is not a Redis URL; write redis://user:password@host:6379/0, rediss:// or unix:///path, and / ? # % in a password as %2F %3F %23 %25")

// Options reads a Redis URL. Its errors never quote the URL, because it holds a password.
func Options(rawURL string) (*redis.UniversalOptions, error) {
	start, end := hostSpan(rawURL)
	hosts := strings.Split(rawURL[start:end], ",")
	u, err := url.Parse(rawURL[:start] + hosts[0] + rawURL[end:])
	// If net/url reads another scheme, the rest is a path, which may hold a password.
	if err != nil || start == 0 || u.Fragment != "" || !strings.HasPrefix(strings.ToLower(rawURL), u.Scheme+"://") {
		return nil, errURL
	}
	if !slices.Contains([]string{"redis", "rediss", "unix"}, u.Scheme) {
		return nil, fmt.Errorf("has the scheme %s; write redis://user:password@host:6379/0, rediss:// or unix:///path", u.Scheme)
	}
	q := u.Query()
	cluster, master := q.Get("cluster") == "true", q.Get("master_name")
	if v := q.Get("cluster"); v != "" && v != "true" && v != "false" {
		return nil, errors.New("has cluster= with a value other than true or false")
	}
	sentinelUser, sentinelPassword := q.Get("sentinel_username"), q.Get("sentinel_password")
	for _, name := range []string{"cluster", "master_name", "sentinel_username", "sentinel_password"} {
		q.Del(name)
	}
	u.RawQuery = q.Encode()
	one, err := redis.ParseURL(u.String())
	if err != nil {
		// go-redis quotes path and query, url.Error the whole URL. An @ in path or query means that
		// the host ended early, inside the password.
		var urlErr *url.Error
		if errors.As(err, &urlErr) || strings.Contains(rawURL[end:], "@") {
			return nil, errURL
		}
		why, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "redis: "), ": time: ") // what follows is of Go
		why, _, _ = strings.Cut(why, ": strconv.")
		return nil, fmt.Errorf("cannot be used: %s; write redis://user:password@host:6379/0, rediss:// or unix:///path", why)
	}
	addrs := []string{one.Addr}
	if len(hosts) > 1 {
		addrs = hosts
		for i, h := range hosts {
			if addrs[i], err = hostPort(h); err != nil {
				return nil, err
			}
		}
	}
	if master != "" && cluster {
		return nil, errors.New("has cluster=true and master_name; choose one")
	}
	if (cluster || len(addrs) > 1 && master == "") && one.DB != 0 {
		return nil, errors.New("names a database; a Redis Cluster has only database 0")
	}
	if one.TLSConfig != nil && (cluster || master != "" || len(addrs) > 1) {
		one.TLSConfig.ServerName = "" // verify each node and sentinel by the address that is dialed
	}
	opt := &redis.UniversalOptions{
		Addrs: addrs, DB: one.DB, Username: one.Username, Password: one.Password, TLSConfig: one.TLSConfig,
		MasterName: master, SentinelUsername: sentinelUser, SentinelPassword: sentinelPassword,
		IsClusterMode: cluster, Protocol: 2, MaxRetries: -1, ContextTimeoutEnabled: true,
		DialerRetries:            1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if one.Network == "unix" {
		opt.Addrs = []string{one.Addr} // an absolute path, which go-redis dials as a unix socket
	}
	return opt, nil
}

// hostSpan finds the hosts, between the userinfo and the path of a URL.
func hostSpan(rawURL string) (start, end int) {
	start = strings.Index(rawURL, "://")
	if start < 0 {
		return 0, 0
	}
	start, end = start+len("://"), len(rawURL)
	if i := strings.IndexAny(rawURL[start:], "/?#"); i >= 0 {
		end = start + i
	}
	return start + strings.LastIndex(rawURL[start:end], "@") + 1, end
}

// hostPort is the address of one of several hosts.
func hostPort(host string) (string, error) {
	u, err := url.Parse("redis://" + host)
	switch {
	case err != nil:
		return "", errURL
	case u.Hostname() == "":
		return "", errors.New("has an empty host between its commas; write redis://host1:6379,host2:6379")
	case u.Port() == "":
		return net.JoinHostPort(u.Hostname(), "6379"), nil
	}
	return u.Host, nil
}
