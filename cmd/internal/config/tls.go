package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	"github.com/solate/medispatcher/cmd/internal/certs"
	"github.com/solate/medispatcher/push/http1"
)

// ListenTLS is the configuration of the listener; nil if it has none. The certificate is read again when it changes.
func (c *Config) ListenTLS(log *slog.Logger) (*tls.Config, error) {
	if c.TLSCert == "" {
		return nil, nil //nolint:nilnil // there is none
	}
	pair, err := certs.Load(c.TLSCert, c.TLSKey, log)
	if err != nil {
		return nil, fmt.Errorf("MEDIS_TLS_CERT: %w", err)
	}
	return pair.Server(), nil
}

// Roots are the authorities in force, asked for each handshake. Nil: those of the system.
type Roots = func() *x509.CertPool

// PushTLS is the configuration of connections to workers.
func (c *Config) PushTLS(log *slog.Logger) (*tls.Config, Roots, error) {
	return clientTLS(files{"MEDIS_PUSH_CA", c.PushCA, "MEDIS_PUSH_CERT", c.PushCert, c.PushKey, true}, log)
}

// Proxy is the proxy of pushes; nil if there is none.
func (c *Config) Proxy() *url.URL {
	if c.PushProxy == "" {
		return nil
	}
	u, err := http1.CheckProxy(c.PushProxy)
	if err != nil {
		panic("MEDIS_PUSH_PROXY was not checked: " + err.Error())
	}
	return u
}

// redisTLS is the configuration of connections to Redis, for URLs that ask for TLS. Nil is that of the system. A file that was
// right when the configuration was checked, and is not now, makes every connection fail with the reason.
func (c *Config) redisTLS(log *slog.Logger) (*tls.Config, Roots) {
	if c.RedisCA == "" && c.RedisCert == "" {
		return nil, nil
	}
	cfg, roots, err := clientTLS(c.redisFiles(), log)
	if err != nil {
		return &tls.Config{MinVersion: tls.VersionTLS12, VerifyConnection: func(tls.ConnectionState) error { return err }}, nil
	}
	return cfg, roots
}

func (c *Config) redisFiles() files {
	return files{"MEDIS_REDIS_CA", c.RedisCA, "MEDIS_REDIS_CERT", c.RedisCert, c.RedisKey, false}
}

// files are what connections to servers are made with. caName and certName are the variables.
type files struct {
	caName, ca, certName, cert, key string
	system                          bool // the authorities of the system count, too
}

func clientTLS(f files, log *slog.Logger) (*tls.Config, Roots, error) {
	var roots Roots
	var pair *certs.Pair
	if f.ca != "" {
		authorities, err := certs.LoadAuthorities(f.ca, f.system, log)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %s %w", f.caName, f.ca, err)
		}
		roots = authorities.Current
	}
	if f.cert != "" {
		var err error
		if pair, err = certs.Load(f.cert, f.key, log); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", f.certName, err)
		}
	}
	return certs.Client(pair), roots, nil
}

// certificates checks the files that n needs, and that certificates have keys.
func (c *checker) certificates(n Needs) {
	for _, p := range []struct {
		needs          Needs
		certName, cert string
		keyName, key   string
		caName, ca     string
		url            string // whose connections they are for, if only TLS uses them
	}{
		{NeedsListen, "MEDIS_TLS_CERT", c.cfg.TLSCert, "MEDIS_TLS_KEY", c.cfg.TLSKey, "", "", ""},
		{NeedsRedis, "MEDIS_REDIS_CERT", c.cfg.RedisCert, "MEDIS_REDIS_KEY", c.cfg.RedisKey, "MEDIS_REDIS_CA", c.cfg.RedisCA, c.cfg.RedisURL + " " + c.cfg.RecoverRedisURL},
		{NeedsListen, "MEDIS_PUSH_CERT", c.cfg.PushCert, "MEDIS_PUSH_KEY", c.cfg.PushKey, "MEDIS_PUSH_CA", c.cfg.PushCA, ""},
	} {
		if n&p.needs == 0 {
			continue
		}
		switch {
		case p.cert != "" && p.key == "":
			c.test(p.certName, errors.New("has no key: set "+p.keyName))
		case p.key != "" && p.cert == "":
			c.test(p.keyName, errors.New("has no certificate: set "+p.certName))
		case p.cert != "":
			_, err := certs.Load(p.cert, p.key, slog.New(slog.DiscardHandler))
			c.test(p.certName, err)
		}
		if p.ca != "" {
			_, err := certs.LoadAuthorities(p.ca, false, slog.New(slog.DiscardHandler))
			c.test(p.caName, err)
		}
		if p.url != "" && p.ca+p.cert != "" && !strings.Contains(p.url, "rediss://") {
			name := p.caName
			if p.ca == "" {
				name = p.certName
			}
			c.test(name, errors.New("is for TLS, and no URL of Redis begins with rediss://"))
		}
	}
	if n&NeedsListen != 0 && c.cfg.PushProxy != "" {
		_, err := http1.CheckProxy(c.cfg.PushProxy)
		c.test("MEDIS_PUSH_PROXY", err)
	}
}
