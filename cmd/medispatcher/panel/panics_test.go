package panel_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

func TestPanicIsLogged(t *testing.T) {
	f := paneltest.New()
	f.Broken = "panic"
	var log strings.Builder
	h := panel.New(panel.Config{}, panel.Deps{Registry: f, Store: f, Log: slog.New(slog.NewJSONHandler(&log, nil))})
	if w := paneltest.Do(t, h, paneltest.Request{Method: "POST", Path: "/api/v1/topics/a/messages"}); w.Code != http.StatusInternalServerError {
		t.Fatal(w.Code)
	}
	if !strings.Contains(log.String(), "the store is broken") || !strings.Contains(log.String(), "goroutine") {
		t.Errorf("log: %s", log.String())
	}
}
