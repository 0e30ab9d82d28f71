package medispatcher

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"testing"
)

// TestURLs: what is accepted is stored as it is sent, and the rest is refused with what to do.
func TestURLs(t *testing.T) {
	rules := testRules()
	rules.ToASCII = func(host string) (string, error) {
		switch host {
		case "bücher.example":
			return "xn--bcher-kva.example", nil
		case "１６９.254.1.1":
			return "169.254.1.1", nil
		case "１６９.254.257":
			return "169.254.257", nil
		}
		return "", errors.New("idna: disallowed rune")
	}
	rules.Denied = func(a netip.Addr) bool { return a.IsLinkLocalUnicast() }
	for given, want := range map[string]string{ // what is stored, or a part of the error
		"http://h":                                "http://h",
		"http://h/a%2Fb?c=d%20e&f":                "http://h/a%2Fb?c=d%20e&f",
		"http://h/a%2Fb c":                        "http://h/a%2Fb%20c",
		"http://h/a b?c d":                        "http://h/a%20b?c%20d",
		"http://h/straße?ö=ü":                     "http://h/stra%C3%9Fe?%C3%B6=%C3%BC",
		"http://h/a/../b//c;d=e":                  "http://h/a/../b//c;d=e",
		`http://h/a"b\c{d}`:                       "http://h/a%22b%5Cc%7Bd%7D",
		"HTTP://Host:080/":                        "http://Host:080/",
		"http://h:/x":                             "http://h/x",
		"http://bücher.example:81/":               "http://xn--bcher-kva.example:81/",
		"[T_ENV:PUB]http://bücher.example":        "[T_ENV:PUB]http://xn--bcher-kva.example",
		"http://u:p%40w@h/":                       "http://u:p%40w@h/",
		"http://a_b.c./":                          "http://a_b.c./",
		"http://[::1]:80/":                        "http://[::1]:80/",
		"http://no such.example/":                 "not a URL",
		"http://ﬀ.example/":                       "is not a host name: idna: disallowed rune",
		"http://１６９.254.1.1/":                     "169.254.1.1 is a denied address",
		"http://10.1.2.3/":                        "http://10.1.2.3/",
		"http://10.1.2.3.example/":                "http://10.1.2.3.example/",
		"http://2130706433/":                      "write it as 127.0.0.1 is written",
		"http://0x7f000001/":                      "write it as 127.0.0.1 is written",
		"http://0X7F.1:80/":                       "write it as 127.0.0.1 is written",
		"http://017700000001/":                    "write it as 127.0.0.1 is written",
		"http://0177.0.0.01/":                     "write it as 127.0.0.1 is written",
		"http://127.1/":                           "write it as 127.0.0.1 is written",
		"http://127.0.0.1./":                      "write it as 127.0.0.1 is written",
		"http://１６９.254.257/":                     "write it as 127.0.0.1 is written",
		"http://a..b/":                            "each part between dots",
		"http://" + strings.Repeat("a", 64):       "each part between dots",
		"http://a,b/":                             `it holds ","`,
		`http://[fe80::1%2500"]/`:                 "is not a zone",
		"http://[1.2.3.4]/":                       "not a URL",
		"http://h/#":                              "has a fragment",
		"http://h/%zz":                            "not a URL",
		"http://h/a\tb":                           "not a URL",
		" http://h/":                              "not a URL",
		"http://h/" + strings.Repeat("a", maxURL): "the limit is 8192",
	} {
		stored, sub, err := rules.Replace("billing", nil, []byte(`{"topic":"a","urls":[`+strconv.Quote(given)+`]}`), ruleTime)
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = sub.URLs[0]
		}
		switch refused := !strings.Contains(want, "://"); {
		case refused != (err != nil), refused && !strings.Contains(got, want), !refused && got != want:
			t.Errorf("%.60q\n got  %s\n want %s", given, got, want)
		case !refused:
			if loaded, warnings, err := rules.Load("billing", stored); err != nil || len(warnings) > 0 || loaded.URLs[0] != want {
				t.Errorf("%q is loaded as %v, %v, %v", given, loaded.URLs, warnings, err)
			}
		}
	}
}

// TestURLsOfEarlierVersions stay, so that their messages are kept; what can be sent in another form is.
func TestURLsOfEarlierVersions(t *testing.T) {
	sub, warnings, err := testRules().Load("billing", []byte(`{"topic":"a","urls":["http://bücher.example/","http://h/a b"]}`))
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "urls[0] cannot be sent") {
		t.Errorf("warnings %q, error %v", warnings, err)
	}
	if got := strings.Join(sub.URLs, " "); got != "http://bücher.example/ http://h/a%20b" {
		t.Errorf("URLs %s", got)
	}
}
