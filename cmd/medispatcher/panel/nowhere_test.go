package panel_test

import (
	"strings"
	"testing"

	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

// TestNowhere: a request that no route answers gets a problem document.
func TestNowhere(t *testing.T) {
	t.Parallel()
	const subs = paneltest.Subs
	for name, test := range map[string]struct {
		q      paneltest.Request
		status int
		says   string
	}{
		"no such route":               {paneltest.Request{Method: "GET", Path: "/nowhere"}, 404, "/openapi.json"},
		"no such route, other Accept": {paneltest.Request{Method: "GET", Path: subs + "/none", Header: []string{"Accept", "text/html, json;q=0.9"}}, 404, ""},
		"wrong method":                {paneltest.Request{Method: "POST", Path: subs}, 405, "use GET, HEAD, PATCH, PUT"},
		"docs page of huma":           {paneltest.Request{Method: "GET", Path: "/docs"}, 404, ""},
		"from a page elsewhere":       {paneltest.Request{Method: "POST", Path: "/api/v1/topics/a/messages", Header: []string{"Sec-Fetch-Site", "cross-site"}}, 403, ""},
	} {
		w := paneltest.Do(t, paneltest.Handler(paneltest.New("billing"), panel.Config{}), test.q)
		if w.Code != test.status || !strings.Contains(w.Body.String(), test.says) || test.status == 405 && w.Header().Get("Allow") != "GET, HEAD, PATCH, PUT" {
			t.Errorf("%s: %d %v %s", name, w.Code, w.Header(), w.Body)
		}
	}
}
