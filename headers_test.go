package medispatcher

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestReservedHeader(t *testing.T) {
	for _, name := range []string{
		"webhook-id", "Webhook-Signature", "WEBHOOK-ANYTHING", "medis-topic", "Medis-X", "Host", "hOsT", "content-type", "Content-Length",
		"content-encoding", "Connection", "keep-alive", "proxy-authenticate", "Proxy-Authorization", "te", "trailer", "transfer-encoding", "upgrade",
		"webhook_signature", "Medis_Topic", "content_length", "transfer_encoding", "Keep_Alive",
	} {
		if !ReservedHeader(name) {
			t.Errorf("%s is not reserved", name)
		}
	}
	for _, name := range []string{"traceparent", "X-Webhook-Id", "Authorization", "User-Agent", "webhook", "medis", "content", "Contents-A", "X-Host", "context", "owl_context"} {
		if ReservedHeader(name) {
			t.Errorf("%s is reserved", name)
		}
	}
}

// TestHeadersThatPassCanBeDecoded: what may be published is not quarantined later, however much
// longer it is as JSON.
func TestHeadersThatPassCanBeDecoded(t *testing.T) {
	many := map[string]string{}
	for i := range 3000 {
		many["a"+strconv.Itoa(i)] = ""
	}
	for name, h := range map[string]map[string]string{
		"escaped": {"a": strings.Repeat("<", 16<<10-1)}, "quotes": {"a": strings.Repeat(`"`, 16<<10-1)}, "tabs": {"a": strings.Repeat("\t", 16<<10-1)}, "many": many,
	} {
		m := Message{Topic: "a", Headers: h}
		if err := m.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		raw, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeEntry(map[string]string{"topic": "a", "body": "", "headers": string(raw)}, time.Now())
		if err != nil || len(got.Headers) != len(h) {
			t.Errorf("%s: %d bytes of JSON, %d headers: %v", name, len(raw), len(got.Headers), err)
		}
	}
}

// TestMaskedHeaders: what a header's name says is a credential is not shown, and kept when its mask is written back.
func TestMaskedHeaders(t *testing.T) {
	old, s := mustReplace(t, testRules(), nil, `{"topic":"t","urls":["http://h/"],"headers":{"Authorization":"Bearer TOKEN","X-Api-Key":"KEY","X-Team":"red","Cookie":""}}`)
	if got := fmt.Sprint(s.Masked().Headers); got != "map[Authorization:******** Cookie: X-Api-Key:******** X-Team:red]" || s.Headers["X-Api-Key"] != "KEY" {
		t.Fatalf("shown as %s, %v", got, s.Headers)
	}
	for patch, want := range map[string]string{
		`{"headers":{"Authorization":"********","X-Team":"blue"}}`:      "map[Authorization:Bearer TOKEN Cookie: X-Api-Key:KEY X-Team:blue]",
		`{"headers":{"X-Api-Key":null}}`:                                "map[Authorization:Bearer TOKEN Cookie: X-Team:red]",
		`{"headers":{"Authorization":null,"authorization":"********"}}`: "map[Cookie: X-Api-Key:KEY X-Team:red authorization:Bearer TOKEN]",
		`{"headers":{"X-Other-Key":"********"}}`:                        `headers: "X-Other-Key" is masked`,
		`{"headers":{"X-Api-Key":"NEW","Authorization":"********"}}`:    "map[Authorization:Bearer TOKEN Cookie: X-Api-Key:NEW X-Team:red]",
		`{"paused":true}`: "map[Authorization:Bearer TOKEN Cookie: X-Api-Key:KEY X-Team:red]",
	} {
		next, sub, err := testRules().Merge("billing", old, []byte(patch), ruleTime)
		got := fmt.Sprint(sub.Headers)
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, want) || strings.Contains(string(next), Mask) {
			t.Errorf("%s: %s, want %s\nstored %s", patch, got, want, next)
		}
	}
	if _, _, err := testRules().Replace("billing", nil, []byte(`{"topic":"t","urls":["http://h/"],"headers":{"Authorization":"********"}}`), ruleTime); err == nil {
		t.Error("a mask was taken for a credential")
	}
}
