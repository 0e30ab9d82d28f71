package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

func TestPayloadPage(t *testing.T) {
	f := hostileFake()
	h := paneltest.Handler(f, panel.Config{Rules: paneltest.Rules})
	evil := "/messages/" + url.PathEscape(hostile)
	for path, want := range map[string][]string{
		"/messages/m-1":                           {`href="/messages/m-1/payload?at=channel%2Fbilling%2F0-"`},
		"/messages/m-1/payload":                   {"{\n  &#34;a&#34;: &#34;it&#39;s&#34;\n}", "READY of", "curl -i &#39;http://h/billing&#39;", "Credentials are masked", `href="/api/v1/messages/m-1/body?at=channel%2Fbilling%2F0-" download`},
		"/messages/m-1/payload?at=unrouted/0-1-0": {`name="subscription" value=""`, "UNROUTED"},
		"/messages/m-1/payload?at=unrouted/0-1-0&subscription=billing": {`value="billing"`, "curl -i"},
		"/messages/m-1/payload?at=unrouted/0-1-0&subscription=none":    {"not found"},
		evil + "/payload?at=dead/billing/0-1-0":                        {"--data-binary", "download it</a> as body-_script_hacked", "only the beginning is shown"},
		"/subscriptions/billing/dead/0-3-0":                            {`href="/messages/json/payload?at=dead%2Fbilling%2F0-3-0"`},
	} {
		w := paneltest.Get(t, h, path)
		if w.Code != http.StatusOK {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
		for _, text := range want {
			if !strings.Contains(w.Body.String(), text) {
				t.Errorf("%s: %s is not in %s", path, text, w.Body)
			}
		}
	}
	for path, want := range map[string]int{"/messages/none/payload": 404, "/messages/m-1/payload?at=x": 422, "/messages/other/payload?at=dead/billing/0-3-0": 404} {
		if w := paneltest.Get(t, h, path); w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
}
