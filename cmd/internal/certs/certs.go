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
	"slices"
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

// watched is what some files hold. They are read again when they change. Files that cannot be used, because one is half written,
// leave in force what was before.
type watched[T any] struct {
	read  func() ([][]byte, error)
	parse func(raw [][]byte) (T, error)

	mu      sync.Mutex
	looked  time.Time
	raw     [][]byte // as the files were when they were read last; nil if they could not be read
	current T
}

// load reads the files for the first time.
func (w *watched[T]) load() error {
	raw, err := w.read()
	if err != nil {
		return err
	}
	if w.current, err = w.parse(raw); err != nil {
		return err
	}
	w.raw, w.looked = raw, time.Now()
	return nil
}

// look reads the files if it is time to, and returns what is in force. An error is returned once, not at every look.
func (w *watched[T]) look() (current T, changed bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Since(w.looked) < lookEvery {
		return w.current, false, nil
	}
	w.looked = time.Now()
	raw, err := w.read()
	if err != nil {
		if w.raw == nil { // it was told
			err = nil
		}
		w.raw = nil
		return w.current, false, err
	}
	if slices.EqualFunc(raw, w.raw, bytes.Equal) {
		return w.current, false, nil
	}
	w.raw = raw
	next, err := w.parse(raw)
	if err != nil {
		return w.current, false, err
	}
	w.current = next
	return next, true, nil
}

// Authorities are a file of certificates in PEM, those of authorities to trust. It is read again when it changes.
type Authorities struct {
	file string
	log  *slog.Logger
	pool watched[*x509.CertPool]
}

// LoadAuthorities reads a file. With system, the authorities of the system count as well.
func LoadAuthorities(file string, system bool, log *slog.Logger) (*Authorities, error) {
	a := &Authorities{file: file, log: log}
	a.pool.read = func() ([][]byte, error) {
		raw, err := Read(file)
		return [][]byte{raw}, err
	}
	a.pool.parse = func(raw [][]byte) (*x509.CertPool, error) { return parsePool(raw[0], system) }
	return a, a.pool.load()
}

func parsePool(raw []byte, system bool) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if system {
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
	current, changed, err := a.pool.look()
	switch {
	case err != nil:
		a.log.Warn("a changed file of authorities cannot be used; those before stay in force", "file", a.file, "error", err)
	case changed:
		a.log.Info("a changed file of authorities is in force", "file", a.file)
	}
	return current
}

// Pair is a certificate and its key, which are read again when the files change.
type Pair struct {
	certFile string
	log      *slog.Logger
	pair     watched[*tls.Certificate]
}

// Load reads a pair.
func Load(certFile, keyFile string, log *slog.Logger) (*Pair, error) {
	p := &Pair{certFile: certFile, log: log}
	p.pair.read = func() ([][]byte, error) {
		cert, err := Read(certFile)
		if err != nil {
			return nil, fmt.Errorf("the certificate %s: %w", certFile, err)
		}
		key, err := Read(keyFile)
		if err != nil {
			return nil, fmt.Errorf("the key %s: %w", keyFile, err)
		}
		return [][]byte{cert, key}, nil
	}
	p.pair.parse = parsePair
	return p, p.pair.load()
}

func parsePair(raw [][]byte) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(raw[0], raw[1])
	if err != nil {
		return nil, fmt.Errorf("certificate and key do not belong together, or are no PEM: %w", err)
	}
	return &pair, nil
}

// Current is the pair in force.
func (p *Pair) Current() *tls.Certificate {
	current, changed, err := p.pair.look()
	switch {
	case err != nil:
		p.log.Warn("a changed certificate cannot be used; the one before stays in force", "certificate", p.certFile, "error", err)
	case changed:
		p.log.Info("a changed certificate is in force", "certificate", p.certFile, "until", current.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return current
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
