package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/config"
	"github.com/solate/medispatcher/internal/certwhy"
	"github.com/solate/medispatcher/internal/sock"
)

// PingWithin is how long a command waits to see whether Redis is there at all.
const PingWithin = 3 * time.Second

// RedisError is an error of Redis in words for the operator.
type RedisError struct {
	Seen  string // where that Redis is, and what is wrong
	Do    string // what to do
	cause error
}

func (e *RedisError) Error() string { return e.Seen + "; " + e.Do }
func (e *RedisError) Unwrap() error { return e.cause }

// Reach finds out whether Redis answers, before a command begins its work. url is the URL that store was opened with.
func Reach(ctx context.Context, store interface{ Ping(context.Context) error }, url string) error {
	ctx, cancel := context.WithTimeout(ctx, PingWithin)
	defer cancel()
	err := store.Ping(ctx)
	if why := diagnose(ctx, err, url); why != nil {
		return why
	}
	return Explain(err, url)
}

// Explain makes a RedisError of an error of the Redis at a URL. It returns other errors, and those of an interrupted
// command, unchanged.
func Explain(err error, url string) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if list := parts(err); len(list) > 1 {
		for i := range list {
			list[i] = Explain(list[i], url)
		}
		return errors.Join(list...)
	}
	at := config.RedisAt(url)
	var explained *RedisError
	var network net.Error
	var fields medispatcher.Problems
	var step *medispatcher.StepError
	var file *fs.PathError // such as stdout on a full disk; its cause would pass for a network error
	switch {
	case errors.As(err, &explained), errors.As(err, &fields), errors.As(err, &file):
		return err
	case certwhy.Problem(err) != "":
		return &RedisError{fmt.Sprintf("redis at %s: %s", at, certwhy.Problem(err)), tlsRemedy(err), err}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return &RedisError{"redis at " + at + " does not answer in time", "check MEDIS_REDIS_URL, and whether Redis is overloaded" + overTLS(url, "does not speak TLS"), err}
	case errors.As(err, &network):
		_, plain := sock.Plain(network)
		return &RedisError{fmt.Sprintf("redis at %s does not answer: %v", at, plain), "check MEDIS_REDIS_URL, and whether Redis runs" + overTLS(url, "asks for a client certificate (MEDIS_REDIS_CERT)"), err}
	case !errors.As(err, &step):
		return err
	}
	text := err.Error()
	if err == error(step) { //nolint:errorlint // only an error that no caller wrapped in words of its own
		text = step.Text()
	}
	return &RedisError{fmt.Sprintf("redis at %s: %s", at, strings.TrimSuffix(text, ".")), remedy(text), err}
}

// overTLS adds what else may be wrong where the URL asks for TLS.
func overTLS(url, what string) string {
	if strings.HasPrefix(url, "rediss://") {
		return ", or " + what
	}
	return ""
}

// tlsRemedy is what to do about a certificate.
func tlsRemedy(err error) string {
	if _, plain := errors.AsType[tls.RecordHeaderError](err); plain {
		return "check MEDIS_REDIS_URL: redis:// is without TLS"
	}
	if _, refused := errors.AsType[*net.OpError](err); refused {
		return "set MEDIS_REDIS_CERT and MEDIS_REDIS_KEY to a certificate that its authority signed"
	}
	if _, unknown := errors.AsType[x509.UnknownAuthorityError](err); unknown {
		return "set MEDIS_REDIS_CA to the certificate of that authority"
	}
	if _, name := errors.AsType[x509.HostnameError](err); name {
		return "use a name in MEDIS_REDIS_URL that is in the certificate; nodes of a cluster must announce such names"
	}
	return "renew the certificate of Redis, and check the clocks"
}

// remedy is what to do about an answer of Redis. The answer is a text: its first word is a code, but the answer of a
// script has more words before that.
func remedy(answer string) string {
	for _, r := range []struct {
		codes []string
		do    string
	}{
		{[]string{"they know none named"}, "check master_name in MEDIS_REDIS_URL, and what the sentinels monitor"},
		{[]string{"name no master: NOAUTH", "name no master: WRONGPASS", "name no master: NOPERM"}, "check sentinel_username and sentinel_password in MEDIS_REDIS_URL"},
		{[]string{"name no master: ERR unknown command"}, "master_name in MEDIS_REDIS_URL is for the addresses of sentinels, and this is none"},
		{[]string{"DENIED"}, "give Redis a password (requirepass, or an ACL) and put it into MEDIS_REDIS_URL, or let Redis listen where only dispatchers reach it and set protected-mode no"},
		{[]string{"NOPERM", "user executing the script can't run"}, "give the user in MEDIS_REDIS_URL the rights that OPERATIONS.md lists; medispatcher doctor checks them"},
		{[]string{"TRYAGAIN"}, "a slot of the cluster is being moved: try again when redis-cli --cluster check finds none open, redis-cli --cluster fix ends a move that broke off"},
		{[]string{"NOAUTH", "WRONGPASS", "invalid password", "without any password"}, "check the user and the password in MEDIS_REDIS_URL"},
		{[]string{"MOVED", "CROSSSLOT", "ASK "}, "it is a Redis Cluster: add ?cluster=true to MEDIS_REDIS_URL"},
		{[]string{"cluster support disabled"}, "it is no Redis Cluster: take cluster=true and all hosts but one off MEDIS_REDIS_URL"},
		{[]string{"OOM "}, "Redis is out of memory: raise maxmemory, or deliver or purge what waits; nothing was written"},
		{[]string{"READONLY"}, "it is a replica: MEDIS_REDIS_URL must name the master"},
		{[]string{"LOADING"}, "Redis is reading its data: try again in a moment"},
		{[]string{"WRONGTYPE"}, "something else uses a key of ours: check MEDIS_KEY_PREFIX"},
		{[]string{"DB index"}, "check the number of the database at the end of MEDIS_REDIS_URL"},
		{[]string{"EOF", "connection was closed"}, "check MEDIS_REDIS_URL, rediss:// is with TLS, redis:// without, and the log of Redis"},
	} {
		for _, code := range r.codes {
			if strings.Contains(answer, code) {
				return r.do
			}
		}
	}
	return "check MEDIS_REDIS_URL, and the log of Redis"
}
