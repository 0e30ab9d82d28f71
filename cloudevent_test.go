package medispatcher

import (
	"net/url"
	"reflect"
	"testing"
	"time"
)

// TestCloudEvent: every message is a CloudEvent, and what its producer said in headers named ce-… counts.
func TestCloudEvent(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_000)
	for name, c := range map[string]struct {
		m    Message
		want CloudEvent
	}{
		"the least": {
			Message{ID: "0-1-0", Generated: true, Topic: "order.created", Time: at},
			CloudEvent{ID: "0-1-0", Source: "/medispatcher", Type: "order.created"},
		},
		"its fields": {
			Message{ID: "order.42", Topic: "order.created", Sender: "shop Köln", Key: "customer 7", Time: at, Headers: map[string]string{"traceparent": "00-1"}},
			CloudEvent{ID: "order%2E42", Source: "shop%20K%C3%B6ln", Type: "order.created", Subject: "customer 7"},
		},
		"its headers": {
			Message{ID: "x", Topic: "t", Sender: "s", Key: "k", Headers: map[string]string{
				"ce-id": "42", "CE-Source": "https://shop.example/a?b=%20#c", "ce-type": "com.github/push", "ce-subject": "a b", "ce-time": "2026-01-02T03:04:05.123456789+02:00", "ce-partitionkey": "7",
			}},
			CloudEvent{ID: "42", Source: "https://shop.example/a?b=%20#c", Type: "com.github/push", Subject: "a b", Time: "2026-01-02T03:04:05.123456789+02:00", Extended: true},
		},
		"what it has not": {
			Message{ID: "x", Topic: "t", Sender: "s", Key: "k", Headers: map[string]string{
				"ce-id": "", "ce-source": "", "ce-type": "", "ce-subject": "", "ce-time": "", "ce-datacontenttype": "",
			}},
			CloudEvent{ID: "x", Source: "s", Type: "t", NoTime: true, NoContentType: true},
		},
		"nonsense in headers": {
			Message{ID: "x", Topic: "t", Headers: map[string]string{
				"ce-source": "a:b:c d", "ce-time": "yesterday", "ce-specversion": "0.3", "ce-data": "x", "ce-a-b": "c", "ce-": "x", "ce": "x", "ce-datacontenttype": "text/plain",
			}},
			CloudEvent{ID: "x", Source: "a%3Ab%3Ac%20d", Type: "t"},
		},
	} {
		if got := c.m.CloudEvent(); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n got  %+v\n want %+v", name, got, c.want)
		}
	}
}

func TestAttributeOf(t *testing.T) {
	for header, want := range map[string]struct {
		name string
		kind AttributeKind
	}{
		"traceparent": {"", NoAttribute}, "ce": {"", NoAttribute}, "ce-": {"", NoAttribute}, "cefoo": {"", NoAttribute}, "": {"", NoAttribute},
		"Ce-Id": {"id", CoreAttribute}, "ce-specversion": {"specversion", CoreAttribute}, "CE-TIME": {"time", CoreAttribute},
		"ce-traceparent": {"traceparent", ExtensionAttribute}, "Ce-Exint2": {"exint2", ExtensionAttribute}, "ce-dataschema": {"dataschema", ExtensionAttribute},
		"ce-a-b": {"a-b", BadAttribute}, "ce-data": {"data", BadAttribute}, "ce-data_base64": {"data_base64", BadAttribute},
	} {
		if name, kind := AttributeOf(header); name != want.name || kind != want.kind {
			t.Errorf("%q: %q, %d; want %q, %d", header, name, kind, want.name, want.kind)
		}
	}
}

func TestCloudEventTime(t *testing.T) {
	for want, at := range map[string]time.Time{
		"2023-11-14T22:13:20Z":     time.UnixMilli(1_700_000_000_000),
		"2023-11-14T22:13:20.12Z":  time.UnixMilli(1_700_000_000_120).In(time.FixedZone("", 3600)),
		"2023-11-14T22:13:20.001Z": time.Unix(1_700_000_000, 1_999_999),
	} {
		if got := CloudEventTime(at); got != want {
			t.Errorf("%v: %s, want %s", at, got, want)
		}
	}
}

func TestCloudEventSource(t *testing.T) {
	for source, want := range map[string]string{
		"":                               "",
		"shop":                           "shop",
		"/shop/1~2":                      "/shop/1~2",
		"//shop":                         "//shop",
		"https://h:8080/a(b)?c=d&e=%2F#": "https://h:8080/a(b)?c=d&e=%2F#",
		"urn:uuid:6e8bc430":              "urn:uuid:6e8bc430",
		"mailto:ann@h":                   "mailto:ann@h",
		"http://[::1]:80/a":              "http://[::1]:80/a",
		"a b":                            "a%20b",
		"100%":                           "100%25",
		"50%zz":                          "50%25zz",
		"a[1]":                           "a%5B1%5D",
		"a%5B1":                          "a%5B1",
		"1:2":                            "1%3A2",
		"a#b#c":                          "a%23b%23c",
		"http://h:port/":                 "http%3A//h%3Aport/",
		"Köln":                           "K%C3%B6ln",
		"\xff\n":                         "%FF%0A",
		`"<>\^{|}` + "`":                 "%22%3C%3E%5C%5E%7B%7C%7D%60",
	} {
		if got := CloudEventSource(source); got != want {
			t.Errorf("%q: %q, want %q", source, got, want)
		}
	}
}

// FuzzCloudEventSource: whatever a sender is called, the source is a URI-reference, and stays as it is the second time.
func FuzzCloudEventSource(f *testing.F) {
	for _, s := range []string{"shop", "http://[::1]/", "a%2", "1:2", "//[", "é", "a?#[]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := CloudEventSource(s)
		if _, err := url.Parse(got); err != nil {
			t.Errorf("%q: %q: %v", s, got, err)
		}
		if again := CloudEventSource(got); again != got {
			t.Errorf("%q: %q, then %q", s, got, again)
		}
		for i := range len(got) {
			if c := got[i]; c <= ' ' || c >= 0x7f {
				t.Errorf("%q: %q", s, got)
			}
		}
	})
}
