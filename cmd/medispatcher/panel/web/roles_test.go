package web_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/solate/medispatcher/cmd/internal/access"
	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/web"
)

// TestRolesOfEveryPage asks for every page with a token of every role, and without one.
func TestRolesOfEveryPage(t *testing.T) {
	t.Parallel()
	h := paneltest.Handler(paneltest.Full(), panel.Config{Tokens: paneltest.Tokens(), Rules: paneltest.Rules})
	fill := strings.NewReplacer("{id}", "billing", "{letter}", "0-1-1", "{message}", "0-1-1", "{$}", "")
	for pattern, needs := range web.Needs() {
		method, path, _ := strings.Cut(pattern, " ")
		for _, role := range append([]access.Role{""}, access.Roles...) {
			var header []string
			if role != "" {
				header = []string{"Authorization", "Bearer the-token-of-" + string(role)}
			}
			w := paneltest.Ask(t, h, method, fill.Replace(path), header...)
			body := w.Body.String()
			switch {
			case needs == "open":
				if w.Code == http.StatusForbidden {
					t.Errorf("%s by %q: %d", pattern, role, w.Code)
				}
			case role == "":
				if w.Code != http.StatusSeeOther && w.Code != http.StatusUnauthorized {
					t.Errorf("%s without a token: %d", pattern, w.Code)
				}
			case role.May(needs) == (w.Code == http.StatusForbidden) || w.Code == http.StatusUnauthorized || w.Code >= 500:
				t.Errorf("%s by %s: %d %s", pattern, role, w.Code, body)
			case w.Code == http.StatusForbidden && !strings.Contains(body, "the role "+string(needs)+";"):
				t.Errorf("%s by %s does not say what it needs: %s", pattern, role, body)
			}
			if strings.Contains(body, paneltest.Body) && !role.May(access.Operator) || strings.Contains(body, paneltest.Secret) {
				t.Errorf("%s shows %s: %s", pattern, role, body)
			}
			if strings.Contains(body, "data-do") && !role.May(access.Operator) || strings.Contains(body, `data-method="DELETE" data-url="/api/v1/subscriptions/billing?`) && role != access.Admin ||
				(strings.Contains(body, "data-form") || strings.Contains(body, `"/subscribe`)) && role != access.Admin || strings.Contains(body, `"/publish`) && !role.May(access.Operator) {
				t.Errorf("%s shows %s what the role may not do: %s", pattern, role, body)
			}
		}
	}
}

// TestButtonsOfRoles: what a role may do is there.
func TestButtonsOfRoles(t *testing.T) {
	t.Parallel()
	h := paneltest.Handler(paneltest.Full(), panel.Config{Tokens: paneltest.Tokens(), Rules: paneltest.Rules})
	for _, test := range []struct {
		path   string
		role   access.Role
		there  string
		absent string
	}{
		{"/subscriptions/billing", access.Admin, `data-yes="Remove"`, "<fieldset"},
		{"/subscriptions/billing", access.Operator, `data-yes="Pause"`, `data-yes="Remove"`},
		{"/subscriptions/billing", access.Reader, "Only the role admin changes them", "data-yes"},
		{"/subscriptions/billing/dead/0-1-1", access.Operator, paneltest.Body, "Only operators"},
		{"/subscriptions/billing/dead/0-1-1", access.Reader, "Only operators see it.", "/dead/0-1-1/body"},
		{"/unrouted/0-1-1", access.Reader, "Only operators see it.", "data-yes"},
		{"/quarantine/0-1-1", access.Operator, "bdoy", "Only operators"},
		{"/quarantine/0-1-1", access.Reader, "Only operators see it.", "bdoy"},
		{"/quarantine", access.Operator, paneltest.Body, "no topic"},
		{"/quarantine", access.Reader, "no topic", paneltest.Body},
		{"/search?q=DECODERR", access.Operator, paneltest.Body, "no topic"},
		{"/search?q=DECODERR", access.Reader, "/quarantine/0-1-1", paneltest.Body},
		{"/", access.Reader, "You are reader, with the role reader", `"/publish"`},
	} {
		body := paneltest.Get(t, h, test.path, "Authorization", "Bearer the-token-of-"+string(test.role), "Cookie", "medis_session=x").Body.String()
		if !strings.Contains(body, test.there) || strings.Contains(body, test.absent) {
			t.Errorf("%s by %s: %s", test.path, test.role, body)
		}
	}
}
