package browser_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// TestScreens takes screenshots of every page for people to look at, wide and narrow, light and
// dark: MEDIS_TEST_SCREENS=DIR go test ./browser -run Screens. It checks that no page is wider than
// its window, and that all are accessible. With MEDIS_TEST_PANEL=URL it uses a panel that runs already.
func TestScreens(t *testing.T) {
	dir, url := os.Getenv("MEDIS_TEST_SCREENS"), os.Getenv("MEDIS_TEST_PANEL")
	p := &panel{t: t, url: url}
	if url == "" {
		p = startPanel(t, "--demo", "--failures")
	}
	b := newBrowser(t)
	pages := map[string]string{
		"overview": "/", "subscriptions": "/subscriptions", "subscription": "/subscriptions/mailer", "subscribe": "/subscribe",
		"alerts": "/alerts", "audit": "/audit", "deliveries": "/subscriptions/mailer/deliveries", "unrouted": "/unrouted", "quarantine": "/quarantine", "broken": "/subscriptions/legacy-crm", "dead": "/dead", "letters": "/subscriptions/mailer/dead", "publish": "/publish?topic=order.created", "nowhere": "/nowhere",
		"test": "/subscriptions/mailer/test", "payload": "/messages/0-1-1/payload",
		"search": "/search?q=order", "found": "/search?q=mail", "topics": "/topics", "topic": "/topics/order.created", "matching": "/subscriptions/mailer/dead?q=451", "message": "/messages/0-1-1",
	}
	b.open(p.url + "/signin")
	shoot(b, dir, "signin")
	b.signIn(p, "/")
	for name, path := range pages {
		b.open(p.url + path)
		shoot(b, dir, name)
	}
	b.open(p.url + "/subscribe")
	b.do("send an empty form", click("main [type=submit]"))
	b.shows("[data-summary]", "wrong")
	shoot(b, dir, "mistakes")
	b.open(p.url + "/subscriptions/mailer/dead")
	b.do("open a dead letter", click("#letters tbody th a"))
	b.shows("main", "Where it is")
	shoot(b, dir, "letter")
	b.complaints()
}

// shoot checks the page in both widths and colour schemes, and saves screenshots unless dir is empty.
func shoot(b *browser, dir, name string) {
	b.t.Helper()
	for _, look := range []struct {
		suffix, scheme string
		width          int64
		phone          bool
	}{{"", "light", 1280, false}, {"-tablet", "light", 1000, false}, {"-phone", "light", 390, true}, {"-dark", "dark", 1280, false}, {"-phone-dark", "dark", 390, true}} {
		height := int64(900)
		if look.phone {
			height = 844
		}
		b.do(name+look.suffix, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
				Width: look.width, Height: height, DeviceScaleFactor: 1, Mobile: look.phone})
			_, err2 := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: look.scheme}}})
			return errors.Join(err, err2)
		}))
		b.sees("the chart", fmt.Sprintf(`innerWidth === %d && (!document.querySelector('[data-chart]') || document.querySelector('.plot svg'))`, look.width))
		if wide, _ := strconv.ParseInt(b.eval(`String(document.documentElement.scrollWidth)`), 10, 64); wide > look.width {
			b.t.Errorf("%s%s is %d px wide, want at most the %d px of its window", name, look.suffix, wide, look.width)
		}
		if look.phone == (look.scheme == "dark") { // every width, and every scheme
			b.accessible(name + look.suffix)
		}
		if dir == "" {
			continue
		}
		raw, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
		if err != nil {
			b.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+look.suffix+".png"), raw, 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
}
