package web_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

func TestStaticFiles(t *testing.T) {
	h := paneltest.Handler(paneltest.New(), panel.Config{Rules: paneltest.Rules, Tokens: paneltest.Admin("s3cret")})
	page := paneltest.Get(t, h, "/signin").Body.String()
	path := regexp.MustCompile(`/static/[^"]*app\.js`).FindString(page)
	for p, want := range map[string]string{path: "public, max-age=31536000, immutable", strings.Replace(path, "/static/", "/static/0", 1): "no-store"} {
		if w := paneltest.Get(t, h, p); w.Code != 200 || w.Header().Get("Cache-Control") != want || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/javascript") {
			t.Errorf("%s: %d %v", p, w.Code, w.Header())
		}
	}
}
