package alert

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"
)

// TestAddressesForAProxy: what stands in the URL of a receiver is judged here, what a name stands for by the proxy.
func TestAddressesForAProxy(t *testing.T) {
	var n Network
	n.Deny(netip.MustParsePrefix("127.0.0.0/8").Contains)
	to := &url.URL{Scheme: "http", Host: "proxy:3128"}
	through := n.through(func(*http.Request) (*url.URL, error) { return to, nil })
	for receiver, refused := range map[string]bool{
		"http://hooks.example/": false, "http://128.0.0.1/": false, "http://[::2]:80/": false,
		"http://127.0.0.1/": true, "http://2130706433/": true, "http://0177.1/": true, "http://127.0.0.1.:80/": true,
		"http://bücher.example/": false, "http://１２７.0.0.1/": true, "http://a_b/": false,
	} {
		got, err := through(httptest.NewRequest(http.MethodPost, receiver, nil))
		if (err != nil) != refused || !refused && got != to {
			t.Errorf("%s: %v, %v", receiver, got, err)
		}
	}
	if _, err := through(httptest.NewRequest(http.MethodPost, "http://127.0.0.1/", nil)); !errors.Is(err, errDenied) {
		t.Errorf("a denied address: %v", err)
	}
}
