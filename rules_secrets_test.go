package medispatcher

import (
	"strings"
	"testing"
	"time"
)

// TestSecretsStayWhereTheyWerePut: a change of URLs does not send to another host what the writer did not give.
func TestSecretsStayWhereTheyWerePut(t *testing.T) {
	rules := Rules{Defaults: DefaultSubscription()}
	const secret, another = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz", "whsec_MTEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
	const old = `{"topic":"a","urls":["http://h/x?token=t","[T_ENV:A]https://H2/"],"headers":{"Authorization":"Bearer s","X-Tenant":"t7","X-Plain":"p"},"secret_headers":["x-tenant"],"secret":"` + secret + `"}`
	stored, sub, err := rules.Replace("s", nil, []byte(old), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	shown := sub.Masked()
	if shown.URLs[0] != "http://h/x?token=********" || shown.Headers["X-Tenant"] != Mask || shown.Headers["Authorization"] != Mask || shown.Headers["X-Plain"] != "p" {
		t.Errorf("shown: %+v", shown)
	}
	for name, test := range map[string]struct {
		patch string
		says  []string // the problems; nothing: it is stored
	}{
		"another path":              {`{"urls":["http://h/y"]}`, nil},
		"the masks":                 {`{"urls":["http://h/x?token=********","[T_ENV:B]https://h2:443/z"],"headers":{"Authorization":"********","X-Tenant":"********"},"secret":"whsec_********"}`, nil},
		"another host":              {`{"urls":["http://evil.example/"]}`, []string{`headers: Authorization`, `headers: X-Tenant`, `secret: must be given again`, `evil.example:80`}},
		"another port":              {`{"urls":["http://h:8080/"]}`, []string{`headers: Authorization`, `"h:8080"`}},
		"no TLS any more":           {`{"urls":["http://h/x?token=********","[T_ENV:A]http://h2:443/"]}`, []string{`headers: Authorization`, `headers: X-Tenant`, `secret: must be given again`, `h2:443 without TLS`}},
		"TLS now":                   {`{"urls":["https://h:80/x"]}`, nil},
		"one more host":             {`{"urls":["http://h/","http://evil.example/"]}`, []string{`headers: Authorization`}},
		"another host, with masks":  {`{"urls":["http://evil.example/"],"headers":{"Authorization":"********"},"secret":"whsec_********"}`, []string{`headers: Authorization`, `secret: must be given again`}},
		"another host, all given":   {`{"urls":["http://new.example/"],"headers":{"Authorization":"Bearer s","X-Tenant":"t7"},"secret":"` + secret + `"}`, nil},
		"another host, all new":     {`{"urls":["http://new.example/"],"headers":{"Authorization":"Bearer n","X-Tenant":null},"secret":"` + another + `"}`, nil},
		"another host, none":        {`{"urls":["http://new.example/"],"headers":null,"secret":null}`, nil},
		"no secret any more":        {`{"secret_headers":[]}`, []string{`secret_headers: must keep X-Tenant`}},
		"no secret, but given":      {`{"secret_headers":[],"headers":{"X-Tenant":"t7"}}`, nil},
		"a query of another secret": {`{"urls":["http://h/x?token=********&a=********"]}`, []string{"stands for no URL"}},
		"no header name":            {`{"secret_headers":["a b"]}`, []string{"secret_headers[0]"}},
	} {
		_, _, err := rules.Merge("s", stored, []byte(test.patch), time.Now())
		if len(test.says) == 0 {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		for _, want := range test.says {
			if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), `"`, ""), strings.ReplaceAll(want, `"`, "")) {
				t.Errorf("%s: %v, want %s", name, err, want)
			}
		}
	}
	if _, _, err := rules.Replace("s", stored, []byte(strings.Replace(old, "http://h/", "http://evil.example/", 1)), time.Now()); err != nil {
		t.Errorf("a whole document with all secrets: %v", err)
	}
}
