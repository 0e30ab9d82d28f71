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
	// telegramText is the longest text that it takes, in UTF-16 units; bytes are never fewer.
	telegramText = 4096
)

// telegram sends to the one chat of a telegram:// URL, which the library reads. It does not send
// itself: where Telegram cannot be reached it says that all is well.
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
