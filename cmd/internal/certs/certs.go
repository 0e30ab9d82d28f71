// Package certs reads the certificates that the configuration names: authorities to trust, and pairs of certificate and key.
// Both are read again when they change.
package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
)

const (
	// maxFile keeps a mistaken /dev/zero from filling the memory.
	maxFile = 1 << 20
	// lookEvery is how often files are looked at, while there are handshakes.
	lookEvery = time.Second
)

// Read reads a file of at most a megabyte. It does not wait for a pipe that nobody writes to.
func Read(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is not a file")
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	if len(raw) > maxFile {
		return nil, errors.New("is larger than 1 MiB")
	}
	return raw, nil
}

func withoutPath(err error) error {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		return path.Err
	}
	return err
}

// Authorities are a file of certificates in PEM, those of authorities to trust. It is read again when it changes. A file that
// cannot be used, because it is half written, leaves those before in force.
type Authorities struct {
	file   string
	system bool
	log    *slog.Logger

	mu      sync.Mutex
	looked  time.Time
	raw     []byte // as the file was when it was read last; nil if it could not be read
	current *x509.CertPool
}

// LoadAuthorities reads a file. With system, the authorities of the system count as well.
func LoadAuthorities(file string, system bool, log *slog.Logger) (*Authorities, error) {
	a := &Authorities{file: file, system: system, log: log}
	raw, err := Read(file)
	if err != nil {
		return nil, err
	}
	if a.current, err = a.parse(raw); err != nil {
		return nil, err
	}
	a.raw, a.looked = raw, time.Now()
	return a, nil
}

func (a *Authorities) parse(raw []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if a.system {
		if all, err := x509.SystemCertPool(); err == nil {
			pool = all
		}
	}
	if !pool.AppendCertsFromPEM(raw) {
		return nil, errors.New("holds no certificate in PEM")
	}
	return pool, nil
}

// Current are those in force.
func (a *Authorities) Current() *x509.CertPool {
	a.mu.Lock()
	changed, err := a.lookLocked()
	current := a.current
	a.mu.Unlock()
	switch {
	case err != nil:
		a.log.Warn("a changed file of authorities cannot be used; those before stay in force", "file", a.file, "error", err)
	case changed:
		a.log.Info("a changed file of authorities is in force", "file", a.file)
	}
	return current
}

// lookLocked reads the file if it is time to. An error is returned once, not at every look.
func (a *Authorities) lookLocked() (changed bool, err error) {
	if time.Since(a.looked) < lookEvery {
		return false, nil
	}
	a.looked = time.Now()
	raw, err := Read(a.file)
	if err != nil {
		told := a.raw == nil
		a.raw = nil
		if told {
			return false, nil
		}
		return false, err
	}
	if bytes.Equal(raw, a.raw) {
		return false, nil
	}
	a.raw = raw
	next, err := a.parse(raw)
	if err != nil {
		return false, err
	}
	a.current = next
	return true, nil
}

// Pair is a certificate and its key, which are read again when the files change. A pair that cannot be used, because only one
// of the files was written yet, leaves the one before in force.
type Pair struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	looked  time.Time
	cert    []byte // as the files were when they were read last; nil if they could not be read
	key     []byte
	current *tls.Certificate
}

// Load reads a pair.
func Load(certFile, keyFile string, log *slog.Logger) (*Pair, error) {
	p := &Pair{certFile: certFile, keyFile: keyFile, log: log}
	cert, key, err := p.read()
	if err != nil {
		return nil, err
	}
	if p.current, err = parse(cert, key); err != nil {
		return nil, err
	}
	p.cert, p.key, p.looked = cert, key, time.Now()
	return p, nil
}

func (p *Pair) read() (cert, key []byte, err error) {
	if cert, err = Read(p.certFile); err != nil {
		return nil, nil, fmt.Errorf("the certificate %s: %w", p.certFile, err)
	}
	if key, err = Read(p.keyFile); err != nil {
		return nil, nil, fmt.Errorf("the key %s: %w", p.keyFile, err)
	}
	return cert, key, nil
}

func parse(cert, key []byte) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("certificate and key do not belong together, or are no PEM: %w", err)
	}
	return &pair, nil
}

// Current is the pair in force.
func (p *Pair) Current() *tls.Certificate {
	p.mu.Lock()
	changed, err := p.lookLocked()
	current := p.current
	p.mu.Unlock()
	switch {
	case err != nil:
		p.log.Warn("a changed certificate cannot be used; the one before stays in force", "certificate", p.certFile, "error", err)
	case changed:
		p.log.Info("a changed certificate is in force", "certificate", p.certFile, "until", current.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return current
}

// lookLocked reads the files if it is time to. An error is returned once, not at every look.
func (p *Pair) lookLocked() (changed bool, err error) {
	if time.Since(p.looked) < lookEvery {
		return false, nil
	}
	p.looked = time.Now()
	cert, key, err := p.read()
	if err != nil {
		told := p.cert == nil
		p.cert, p.key = nil, nil
		if told {
			return false, nil
		}
		return false, err
	}
	if bytes.Equal(cert, p.cert) && bytes.Equal(key, p.key) {
		return false, nil
	}
	p.cert, p.key = cert, key
	next, err := parse(cert, key)
	if err != nil {
		return false, err
	}
	p.current = next
	return true, nil
}

// Server is a configuration for a listener.
func (p *Pair) Server() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.Current(), nil },
	}
}

// Client is a configuration for connections to servers. pair nil sends no certificate.
func Client(pair *Pair) *tls.Config {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if pair != nil {
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair.Current(), nil }
	}
	return cfg
}
