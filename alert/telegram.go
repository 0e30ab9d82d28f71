package alert

import (
	stdbytes "bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/telegram"
)

const (
	telegramAPI = "https://api.telegram.org"
	// telegramText is the longest text that Telegram takes, in UTF-16 units. A text has at least as many
	// bytes.
	telegramText = 4096
)

// telegram sends to the one chat of a telegram:// URL. The library parses the URL, but does not send: it
// reports success where Telegram cannot be reached.
func (n *Network) telegram(ctx context.Context, client *http.Client, api, rawURL, text string) error {
	u, err := url.Parse(rawURL)
	if err != nil {
		return err
	}
	var c telegram.Config
	if err := c.SetURL(u); err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{
		"chat_id": c.Chats[0], "text": cut(text, telegramText-len("…")), "disable_web_page_preview": true,
		"disable_notification": !c.Notification && u.Query().Has("notification"),
	})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, api+"/bot"+c.Token+"/sendMessage", stdbytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode/100 == 2 {
		return nil
	}
	var answer struct{ Description string }
	said, _ := io.ReadAll(io.LimitReader(resp.Body, maxReason))
	_ = json.Unmarshal(said, &answer)
	return fmt.Errorf("status %s: %s", resp.Status, answer.Description)
}
