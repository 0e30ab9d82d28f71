package alert

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher/alert/alerttest"
)

func mustParse(raw string) *url.URL {
	u, err := url.Parse(raw)
	if err != nil {
		panic(err)
	}
	return u
}

// sendTo sends a text and waits until the send has ended, also after a timeout.
func sendTo(t *testing.T, n *Network, raw, title string) error {
	t.Helper()
	ended := make(chan struct{})
	err := n.send(t.Context(), receivers([]string{raw})[0], "41.1700000000000", title, title+"\n\n.a line\n"+strings.Repeat("ü", 100)+"\n", func() { close(ended) })
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the send never ended")
	}
	return err
}

func TestMail(t *testing.T) {
	t.Parallel()
	box := alerttest.NewMailbox(t, func(m *alerttest.Mailbox) {
		m.Auth = base64.StdEncoding.EncodeToString([]byte("\x00user\x00hushhush"))
	})
	raw := strings.Replace(box.URL("ops+night@example.com"), "smtp://", "smtp://user:hushhush@", 1)
	if err := sendTo(t, network, raw, "[ALERT] backlog grün: 7"); err != nil {
		t.Fatal(err)
	}
	want := alerttest.Mail{
		From: "medispatcher@example.com", To: "ops+night@example.com", Subject: "[ALERT] backlog grün: 7",
		ID: "<41.1700000000000@medispatcher.invalid>", Text: "[ALERT] backlog grün: 7\n\n.a line\n" + strings.Repeat("ü", 100) + "\n",
	}
	if got := box.Mails(); len(got) != 1 || got[0] != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	err := sendTo(t, network, strings.Replace(raw, "hushhush", "wrong-hush", 1), "x")
	if err == nil || strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "AHd") {
		t.Errorf("a wrong password, and what the server says of it: %v", err)
	}
}

// TestMailIsSentOnce: once a mail is accepted, a failing QUIT does not make it fail.
func TestMailIsSentOnce(t *testing.T) {
	t.Parallel()
	box := alerttest.NewMailbox(t, func(m *alerttest.Mailbox) {
		m.Quit = "554 I do not let you go"
		m.Refuse = func(to string) string {
			if to == "nobody@example.com" {
				return "550 nobody of that name"
			}
			return ""
		}
	})
	if err := sendTo(t, network, box.URL("ops@example.com"), "x"); err != nil {
		t.Error(err)
	}
	if err := sendTo(t, network, box.URL("nobody@example.com"), "x"); err == nil || !strings.Contains(err.Error(), "the recipient is refused: 550") {
		t.Error(err)
	}
}

// TestReceiverThatHangs: a send ends after its time, and so does what it started.
func TestReceiverThatHangs(t *testing.T) {
	network.within.Store(int64(200 * time.Millisecond))
	defer network.within.Store(0)
	box := alerttest.NewMailbox(t, func(m *alerttest.Mailbox) { m.Silent = true })
	release := make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer web.Close()
	defer close(release)
	for _, raw := range []string{box.URL("ops@example.com"), "generic+" + web.URL + "/hushhush"} {
		if err := sendTo(t, network, raw, "x"); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

func TestReceiverThatTalksForEver(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range 64 {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return
			}
		}
	}))
	defer web.Close()
	_ = sendTo(t, network, "generic+"+web.URL+"/", "x") // an error or not: it ends
}

func TestWebhook(t *testing.T) {
	t.Parallel()
	var got string
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body := new(strings.Builder)
		_ = r.Write(body)
		got = body.String()
	}))
	defer web.Close()
	if err := sendTo(t, network, "generic+"+web.URL+"/hook?template=json", "[ALERT] x"); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(got, "POST /hook HTTP/1.1") || !strings.Contains(got, `{"message":"[ALERT] x\n\n.a line\n`) {
		t.Error(got)
	}
}

// TestTelegram: the error holds Telegram's answer, and a network that is down is an error.
func TestTelegram(t *testing.T) {
	t.Parallel()
	status, got := http.StatusOK, ""
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, 8192)
		n, _ := r.Body.Read(body)
		got = r.URL.Path + " " + string(body[:n])
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`{"ok":false,"description":"chat not found"}`))
	}))
	defer api.Close()
	client := api.Client()
	const raw = "telegram://123456789:hushhushhushhushhushhushhushhushhus@telegram?chats=@ops"
	if err := network.telegram(t.Context(), client, api.URL, raw, strings.Repeat("x", 5000)); err != nil {
		t.Error(err)
	}
	if !strings.HasPrefix(got, "/bot123456789:hushhushhushhushhushhushhushhushhus/sendMessage {") || !strings.Contains(got, `"chat_id":"@ops"`) || len(got) > 4400 {
		t.Error(got)
	}
	status = http.StatusBadRequest
	if err := safe(network.telegram(t.Context(), client, api.URL, raw, "x"), raw); err == nil || !strings.Contains(err.Error(), "status 400 Bad Request: chat not found") {
		t.Error(err)
	}
	api.Close()
	if err := safe(network.telegram(t.Context(), client, api.URL, raw, "x"), raw); err == nil || strings.Contains(err.Error(), "hush") {
		t.Error(err)
	}
}
