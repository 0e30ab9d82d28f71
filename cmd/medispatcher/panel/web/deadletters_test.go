package web_test

import (
	"strings"
	"testing"

	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

func TestBodyIsDownloadedAsItIs(t *testing.T) {
	f := hostileFake()
	w := paneltest.Get(t, paneltest.Handler(f, panel.Config{Rules: paneltest.Rules}), "/subscriptions/billing/dead/0-1-0/body")
	h := w.Header()
	if w.Body.String() != string(f.Letters[0].Message.Body) || h.Get("Content-Disposition") != `attachment; filename="0-1-0.txt"` ||
		h.Get("Content-Type") != "text/plain; charset=utf-8" || h.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(h.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("%d bytes, %v", w.Body.Len(), h)
	}
}
