package web_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

func TestKeptPages(t *testing.T) {
	f := paneltest.New("billing")
	paneltest.KeepAway(f)
	h := paneltest.Handler(f, panel.Config{})
	for path, want := range map[string][]string{
		"/":                           {"3 messages that no subscription wanted.", `href="/unrouted"`, "1 entry could not be decoded or copied", `href="/quarantine"`},
		"/unrouted":                   {"Unrouted messages", "oder.created", "by nobody; did you mean", "order.created", "by 1 subscription", `href="/subscribe?topic=no.body"`, "Replay all 3", `href="/unrouted" aria-current="page">Unrouted`},
		"/unrouted/0-1-0":             {"&lt;b&gt;one&lt;/b&gt;", "No subscription wanted its topic", "by nobody; did you mean order.created?", `href="/unrouted/0-1-0/body"`},
		"/unrouted/0-2-0":             {"not UTF-8"},
		"/quarantine":                 {"DECODERR topic: is missing &lt;i&gt;", "no topic", "Replay all 1"},
		"/quarantine/0-4-0":           {"tropic", `a\u202eb`, "four", "1-1"},
		"/publish?topic=a.b":          {"kept among the"},
		"/publish?topic=oder.created": {`Did you mean <a href="/publish?topic=order.created">order.created</a>`},
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
		if strings.Contains(w.Body.String(), "\u202e") || strings.Contains(w.Body.String(), "<b>one") {
			t.Errorf("%s: hostile text", path)
		}
	}
	if w := paneltest.Do(t, h, paneltest.Request{Method: "GET", Path: "/quarantine/0-4-0/body"}); w.Body.String() != "four" || !strings.Contains(w.Header().Get("Content-Disposition"), "attachment") {
		t.Errorf("the file: %v %s", w.Header(), w.Body)
	}
	if w := paneltest.Get(t, h, "/unrouted/0-9-9"); w.Code != http.StatusNotFound {
		t.Errorf("one that is not there: %d", w.Code)
	}
}
