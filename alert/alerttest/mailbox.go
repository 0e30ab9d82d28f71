// Package alerttest gives tests a mail server to send alerts to. It imports the standard library alone.
//
// It is not for other programs, and may change with every release; packages publish and verify are for them.
package alerttest

import (
	"bufio"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"
)

// Mail is a mail that a Mailbox accepted.
type Mail struct {
	From, To, Subject, ID, Text string
}

// Mailbox is an SMTP server on the loopback.
type Mailbox struct {
	Addr string
	// Refuse, if set, returns the reply that refuses a recipient, or "" to accept it.
	Refuse func(to string) string
	// Auth is the credential that AUTH PLAIN accepts, in base64; empty: AUTH is not offered.
	Auth string
	// Quit is the reply to QUIT; empty: 221.
	Quit string
	// Connected, if set, is called for each connection; false closes it.
	Connected func() bool
	// Silent makes it accept connections and send nothing.
	Silent bool

	mu    sync.Mutex
	mails []Mail
	news  chan struct{}
	conns map[net.Conn]bool
	done  sync.WaitGroup
}

// NewMailbox starts a mailbox that ends with the test. set, which may be nil, sets its fields.
func NewMailbox(t testing.TB, set func(m *Mailbox)) *Mailbox {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it ends with the test
	if err != nil {
		t.Fatal(err)
	}
	m := &Mailbox{Addr: l.Addr().String(), news: make(chan struct{}, 1), conns: map[net.Conn]bool{}}
	if set != nil {
		set(m)
	}
	m.done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			m.mu.Lock()
			m.conns[c] = true
			m.mu.Unlock()
			m.done.Go(func() { m.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		m.mu.Lock()
		for c := range m.conns {
			_ = c.Close()
		}
		m.mu.Unlock()
		m.done.Wait()
	})
	return m
}

// URL is the receiver URL for mail to some people, whose addresses are joined by commas.
func (m *Mailbox) URL(to string) string {
	return "smtp://" + m.Addr + "/?from=medispatcher@example.com&to=" + to
}

// Mails returns the mails so far.
func (m *Mailbox) Mails() []Mail {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Mail(nil), m.mails...)
}

// Await waits until a condition on the mails holds.
func (m *Mailbox) Await(t testing.TB, what string, holds func(mails []Mail) bool) {
	t.Helper()
	timeout := time.After(time.Minute)
	for !holds(m.Mails()) {
		select {
		case <-m.news:
		case <-timeout:
			t.Fatalf("%s: there are %+v", what, m.Mails())
		}
	}
}

func (m *Mailbox) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	r := bufio.NewReader(c)
	say := func(line string) { _, _ = fmt.Fprintf(c, "%s\r\n", line) }
	if m.Connected != nil && !m.Connected() {
		return
	}
	if m.Silent {
		_, _ = r.ReadString(0) // until the other side gives up
		return
	}
	say("220 mailbox ready")
	var got Mail
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		switch verb, rest, _ := strings.Cut(line, ":"); {
		case strings.HasPrefix(line, "EHLO"):
			if m.Auth != "" {
				say("250-mailbox")
				say("250 AUTH PLAIN")
				continue
			}
			say("250 mailbox")
		case strings.HasPrefix(line, "AUTH"):
			if line != "AUTH PLAIN "+m.Auth {
				say("535 refused: " + line)
				continue
			}
			say("235 accepted")
		case verb == "MAIL FROM":
			got = Mail{From: strings.Trim(strings.Fields(rest)[0], "<>")}
			say("250 ok")
		case verb == "RCPT TO":
			got.To = strings.Trim(rest, "<>")
			if m.Refuse != nil {
				if refused := m.Refuse(got.To); refused != "" {
					say(refused)
					continue
				}
			}
			say("250 ok")
		case line == "DATA":
			say("354 send the mail")
			if !m.take(r, got) {
				return
			}
			say("250 accepted")
		case line == "QUIT":
			if m.Quit != "" {
				say(m.Quit)
				return
			}
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

// take reads a mail up to the line that holds only a dot.
func (m *Mailbox) take(r *bufio.Reader, got Mail) bool {
	var raw strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		raw.WriteString(strings.TrimPrefix(line, "."))
	}
	parsed, err := mail.ReadMessage(strings.NewReader(raw.String()))
	if err != nil {
		return false
	}
	var text strings.Builder
	_, _ = bufio.NewReader(quotedprintable.NewReader(parsed.Body)).WriteTo(&text)
	got.Subject, _ = new(mime.WordDecoder).DecodeHeader(parsed.Header.Get("Subject"))
	got.ID, got.Text = parsed.Header.Get("Message-Id"), strings.ReplaceAll(text.String(), "\r\n", "\n")
	m.mu.Lock()
	m.mails = append(m.mails, got)
	m.mu.Unlock()
	select {
	case m.news <- struct{}{}:
	default:
	}
	return true
}
