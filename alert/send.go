package alert

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/telegram"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/email/smtp"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"github.com/solate/medispatcher"
)

// errSlow is the error of a receiver that does not answer in time.
var errSlow = errors.New("it did not answer in time")

// send sends a text to one receiver. It returns when the receiver has the text, refused it or took too long.
// The library cannot be interrupted, so a send that took too long goes on until the deadline of its
// connection. ended is called when the send has really ended, always. The error holds no secret.
func (n *Network) send(ctx context.Context, r receiver, id, title, text string, ended func()) error {
	result := make(chan error, 1)
	ctx, cancel := context.WithTimeout(ctx, n.limit())
	defer cancel()
	go func() {
		defer ended()
		defer func() {
			if v := recover(); v != nil { // the library panics for zulip:// where nobody answers
				_ = medispatcher.Recovered(v) // counted, not shown: the text may hold a secret
				result <- errors.New("it cannot be reached, or the notification library panicked")
			}
		}()
		result <- n.deliver(ctx, r, id, title, text)
	}()
	select {
	case err := <-result:
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
			err = errSlow
		}
		return safe(err, r.url)
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return errSlow
		}
		return ctx.Err()
	}
}

func (n *Network) deliver(ctx context.Context, r receiver, id, title, text string) error {
	u, err := url.Parse(r.url)
	if err != nil {
		return errors.New("is not a URL")
	}
	switch strings.ToLower(u.Scheme) {
	case smtp.Scheme:
		return n.mail(ctx, r.url, id, title, text)
	case telegram.Scheme:
		return n.telegram(ctx, http.DefaultClient, telegramAPI, r.url, text)
	}
	svc, err := service(u)
	if err != nil {
		return err
	}
	n.own(svc)
	params := types.Params{}
	if titled(u.Scheme) {
		// The first line of the text is the title, and would be shown twice.
		params.SetTitle(title)
		_, text, _ = strings.Cut(text, "\n")
		text = strings.TrimLeft(text, "\n")
	}
	return svc.Send(text, &params)
}

// titled reports whether a service shows a title above the text.
func titled(scheme string) bool {
	switch strings.ToLower(scheme) {
	case "gotify", "join", "ntfy", "pushbullet", "pushover", "bark", "opsgenie":
		return true
	}
	return false
}
