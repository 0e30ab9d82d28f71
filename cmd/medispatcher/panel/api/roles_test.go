package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/solate/medispatcher/cmd/internal/access"
	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/api"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

// TestRolesOfEveryOperation asks for every operation of the OpenAPI document with a token of every role, and without one.
func TestRolesOfEveryOperation(t *testing.T) {
	t.Parallel()
	fill := strings.NewReplacer("{topic}", "order.created", "{id}", "billing", "{letter}", "0-1-1", "{message}", "0-1-1", "/messages/{id}", "/messages/m-1")
	f := paneltest.Full()
	h := paneltest.Handler(f, panel.Config{Tokens: paneltest.Tokens(), Rules: paneltest.Rules, MaxBody: 100})
	for path, operations := range document(t, apiHandler()).Paths {
		for method, op := range operations {
			needs, isOpen := op.Role, path == api.HealthPath || path == api.ReadyPath
			switch changesIt := strings.HasPrefix(path, "/api/v1/subscriptions"); {
			case isOpen:
			case method == "get" && needs != access.Reader && needs != access.Operator && path != "/openapi.json",
				method != "get" && needs != access.Publisher && needs != access.Operator && needs != access.Admin,
				(method == "put" || method == "patch" || changesIt && path == paneltest.Subs+"/{id}" && method == "delete") && needs != access.Admin:
				t.Errorf("%s %s needs %q", method, path, needs)
			}
			for _, role := range append([]access.Role{""}, access.Roles...) {
				q := request{Method: strings.ToUpper(method), Path: fill.Replace(path), Body: "{}"}
				if role != "" {
					q.Header = []string{"Authorization", "Bearer the-token-of-" + string(role)}
				}
				f.Steps, f.Published = nil, nil
				w := paneltest.Do(t, h, q)
				switch {
				case isOpen:
					if w.Code != http.StatusOK {
						t.Errorf("%s %s is not open: %d", method, path, w.Code)
					}
				case role == "":
					if w.Code != http.StatusUnauthorized {
						t.Errorf("%s %s without a token: %d", method, path, w.Code)
					}
				case role.May(needs) == (w.Code == http.StatusForbidden) || w.Code == http.StatusUnauthorized:
					t.Errorf("%s %s by %s: %d %s", method, path, role, w.Code, w.Body)
				case w.Code == http.StatusForbidden:
					if !strings.Contains(w.Body.String(), "the role "+string(needs)+";") || len(f.Steps)+len(f.Published) > 0 {
						t.Errorf("%s %s by %s: %s, did %v", method, path, role, w.Body, f.Steps)
					}
				}
				if shown := strings.Contains(w.Body.String(), paneltest.Body); shown && !role.May(access.Operator) || strings.Contains(w.Body.String(), paneltest.Secret) {
					t.Errorf("%s %s shows %s: %s", method, path, role, w.Body)
				}
			}
		}
	}
}

// TestBodiesAreForOperators: they see what readers do not.
func TestBodiesAreForOperators(t *testing.T) {
	t.Parallel()
	h := paneltest.Handler(paneltest.Full(), panel.Config{Tokens: paneltest.Tokens(), Rules: paneltest.Rules})
	for _, path := range []string{subs + "/billing/dead", subs + "/billing/dead/0-1-1", "/api/v1/unrouted/0-1-1", "/api/v1/quarantine/0-1-1", "/api/v1/quarantine"} {
		for _, role := range []access.Role{access.Operator, access.Reader} {
			w := paneltest.Do(t, h, request{Method: "GET", Path: path, Header: []string{"Authorization", "Bearer the-token-of-" + string(role)}})
			if w.Code != 200 || strings.Contains(w.Body.String(), paneltest.Body) != (role == access.Operator) {
				t.Errorf("%s by %s: %d %s", path, role, w.Code, w.Body)
			}
		}
	}
}
