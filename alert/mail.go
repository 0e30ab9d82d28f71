package alert

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	gosmtp "net/smtp"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/services/email/smtp"
)

// mail sends to the one recipient of an smtp:// URL. The library parses the URL, but does not send: its
// connection has no deadline and does not go through Network, and it takes a QUIT that fails for a failure of
// the mail, although the server has accepted it. id becomes the Message-ID, so that a mail program can tell
// a repeated mail from a new one.
func (n *Network) mail(ctx context.Context, rawURL, id, title, text string) error {
	c, err := mailConfig(rawURL)
	if err != nil {
		return err
	}
	client, err := n.connect(ctx, c)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	if c.Auth != smtp.AuthTypes.None {
		if err := client.Auth(mailAuth(c)); err != nil {
			return fmt.Errorf("the login failed: %w", err)
		}
	}
	to := c.ToAddresses[0]
	if err := client.Mail(c.FromAddress); err != nil {
		return fmt.Errorf("the sender is refused: %w", err)
	}
	if err := client.Rcpt(to); err != nil {
		return fmt.Errorf("the recipient is refused: %w", err)
	}
	w, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(mailText(c, to, id, title, text)); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("the mail is refused: %w", err)
	}
	_ = client.Quit() // the mail is accepted, whatever QUIT returns
	return nil
}

// mailConfig parses an smtp:// URL.
func mailConfig(rawURL string) (*smtp.Config, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	var svc smtp.Service
	if err := svc.Initialize(u, nil); err != nil {
		return nil, err
	}
	svc.Config.FixEmailTags()
	for _, address := range append([]string{svc.Config.FromAddress, svc.Config.FromName}, svc.Config.ToAddresses...) {
		if plain(address) != address {
			return nil, errors.New("an address holds a control character")
		}
	}
	return svc.Config, nil
}

// connect opens a session, with TLS from the start or by STARTTLS if the server offers it.
func (n *Network) connect(ctx context.Context, c *smtp.Config) (*gosmtp.Client, error) {
	settings := &tls.Config{ServerName: c.Host, MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.SkipTLSVerify} //nolint:gosec // the operator's choice
	conn, err := n.Dial(ctx, "tcp", net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))))
	if err != nil {
		return nil, err
	}
	implicit := c.Encryption == smtp.EncMethods.ImplicitTLS || c.Encryption == smtp.EncMethods.Auto && c.Port == smtp.ImplicitTLSPort
	if implicit {
		conn = tls.Client(conn, settings)
	}
	client, err := gosmtp.NewClient(conn, c.Host)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if err := client.Hello(c.ClientHost); err != nil {
		return nil, errors.Join(err, client.Close())
	}
	if implicit || !c.UseStartTLS || c.Encryption == smtp.EncMethods.None {
		return client, nil
	}
	offered, _ := client.Extension("STARTTLS")
	switch {
	case offered:
		err = client.StartTLS(settings)
	case c.RequireStartTLS || c.Encryption == smtp.EncMethods.ExplicitTLS:
		err = smtp.ErrServerNoStartTLS
	}
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return client, nil
}

func mailAuth(c *smtp.Config) gosmtp.Auth {
	switch c.Auth {
	case smtp.AuthTypes.CRAMMD5:
		return gosmtp.CRAMMD5Auth(c.Username, c.Password)
	case smtp.AuthTypes.OAuth2:
		return smtp.OAuth2Auth(c.Username, c.Password)
	default:
		return gosmtp.PlainAuth("", c.Username, c.Password, c.Host)
	}
}

// mailText is the mail itself.
func mailText(c *smtp.Config, to, id, title, text string) []byte {
	var b strings.Builder
	header := func(name, value string) { b.WriteString(name + ": " + value + "\r\n") }
	from := "<" + c.FromAddress + ">"
	if c.FromName != "" {
		from = mime.QEncoding.Encode("utf-8", c.FromName) + " " + from
	}
	header("Subject", mime.QEncoding.Encode("utf-8", title))
	header("From", from)
	header("To", "<"+to+">")
	header("Date", time.Now().Format(time.RFC1123Z))
	header("Message-ID", "<"+id+"@medispatcher.invalid>")
	header("Auto-Submitted", "auto-generated")
	header("MIME-Version", "1.0")
	header("Content-Type", `text/plain; charset="utf-8"`)
	header("Content-Transfer-Encoding", "quoted-printable")
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write([]byte(text)) // a Builder takes everything
	_ = w.Close()
	return []byte(b.String())
}
