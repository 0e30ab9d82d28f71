package medispatcher

import (
	"encoding/json"
	"errors"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher/push/http1"
)

var ruleTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// testRules are the rules of the default configuration.
func testRules() *Rules {
	return &Rules{
		Defaults: DefaultSubscription(), SecretOverlap: 24 * time.Hour,
		Max: Subscription{Concurrency: 1500, RetryConcurrency: 60, Timeout: Duration(30 * time.Second)},
	}
}

const least = `{"topic":"order.*","urls":["http://h/"]}`

// document is least with members added.
func leastAnd(members string) string { return strings.TrimSuffix(least, "}") + "," + members + "}" }

func mustReplace(t *testing.T, r *Rules, old []byte, doc string) ([]byte, Subscription) {
	t.Helper()
	stored, s, err := r.Replace("billing", old, []byte(doc), ruleTime)
	if err != nil {
		t.Fatalf("%s: %v", doc, err)
	}
	return stored, s
}

func TestReplaceLaysADocumentOverTheDefaults(t *testing.T) {
	want := testRules().Defaults
	want.ID, want.Topic, want.URLs, want.Headers = "billing", "order.*", []string{"http://h/"}, map[string]string{}
	stored, got := mustReplace(t, testRules(), nil, least)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if string(stored) != `{"id":"billing","topic":"order.*","urls":["http://h/"]}` {
		t.Errorf("stored %s, want what was given and the id alone", stored)
	}
}

func TestReplaceReadsFields(t *testing.T) {
	doc := `{"id":"billing","topic":"a.>","urls":["[T_ENV:PUB]https://u:p@h:8443/x?y=1","http://[::1]/"],"paused":true,"concurrency":1500,
		"retry_concurrency":60,"interval":"5ms","timeout":"30s","max_retries":0,"retry_coefficient":"0s","retry_schedule":["5s","1m"],"encoding":"form",
		"secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw","headers":{"X-A":"1"},"receive_bench":true,"drop":{"threshold":3,"action":"log"},
		"alert":{"enabled":false,"urls":["slack://x"],"window":"1m","failures":0,"message_failures":1,"backlog":2,"every":"1h"}}`
	want := DefaultSubscription()
	want.ID, want.Topic, want.URLs, want.Paused = "billing", "a.>", []string{"[T_ENV:PUB]https://u:p@h:8443/x?y=1", "http://[::1]/"}, true
	want.Concurrency, want.RetryConcurrency, want.MaxRetries, want.ReceiveBench = 1500, 60, 0, true
	want.Interval, want.Timeout, want.RetryCoefficient = Duration(5*time.Millisecond), Duration(30*time.Second), 0
	want.RetrySchedule = []Duration{Duration(5 * time.Second), Duration(time.Minute)}
	want.Encoding, want.Secret, want.Headers, want.Drop = "form", secretA, map[string]string{"X-A": "1"}, DropPolicy{3, "log"}
	want.Alert = AlertPolicy{URLs: []string{"slack://x"}, Window: Duration(time.Minute), MessageFailures: 1, Backlog: 2, Every: Duration(time.Hour)}
	stored, got := mustReplace(t, testRules(), []byte(least), doc)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	loaded, warnings, err := testRules().Load("billing", stored)
	if err != nil || len(warnings) > 0 || !reflect.DeepEqual(*loaded, want) {
		t.Errorf("loaded %+v, %v, %v", loaded, warnings, err)
	}
	shown, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if _, again := mustReplace(t, testRules(), nil, string(shown)); !reflect.DeepEqual(again, want) {
		t.Errorf("what is shown reads as %+v", again)
	}
}

func TestReplaceRefuses(t *testing.T) {
	for _, tc := range []struct{ name, doc, field, want string }{
		{"not JSON", `{`, "body", "is not a JSON object"},
		{"a list", `[]`, "body", "is not a JSON object"},
		{"null", `null`, "body", "is null"},
		{"other id", leastAnd(`"id":"other"`), "id", `"other" is not the id in the path, "billing"`},
		{"unknown field", leastAnd(`"concurency":3`), "concurency", "is not a field of a subscription; the fields are alert, "},
		{"unknown nested field", leastAnd(`"drop":{"act":"log"}`), "drop.act", "the fields are action, threshold"},
		{"unknown field of two lines", leastAnd(`"a\nb":1`), `"a\nb"`, "is not a field"},
		{"unknown field without a name", leastAnd(`"":1`), `""`, "is not a field"},
		{"unknown field with a long name", leastAnd(`"` + strings.Repeat("x", 1000) + `":1`), `"` + strings.Repeat("x", 80) + `"…`, "is not a field"},
		{"value of two lines", leastAnd("\"paused\":[\n1]"), "paused", "[ 1] is not true or false"},
		{"long value", leastAnd(`"paused":"` + strings.Repeat("é", 1000) + `"`), "paused", "é… is not true or false"},
		{"case of a field", leastAnd(`"Concurrency":3`), "Concurrency", "is not a field"},
		{"field of the dispatcher", leastAnd(`"previous_secret":"x"`), "previous_secret", "is not a field"},
		{"topic missing", `{"urls":["http://h/"]}`, "topic", "is missing"},
		{"topic wrong", `{"topic":"a..b","urls":["http://h/"]}`, "topic", "empty level"},
		{"no URL", `{"topic":"a"}`, "urls", "holds 0 worker URLs; give 1 to 64"},
		{"too many URLs", `{"topic":"a","urls":["http://h/"` + strings.Repeat(`,"http://h/"`, 64) + `]}`, "urls", "holds 65 worker URLs"},
		{"URL a string", `{"topic":"a","urls":"http://user:password@h/"}`, "urls", "is a string, not a list of strings"},
		{"a secret in a list", leastAnd(`"secret":["whsec_x"]`), "secret", "is not a string"},
		{"URL without scheme", leastAnd(`"urls":["http://h/","h:80/x"]`), "urls[1]", "must begin with http:// or https://"},
		{"URL of another scheme", leastAnd(`"urls":["ftp://h/"]`), "urls[0]", "must begin with http://"},
		{"URL with a tag alone", leastAnd(`"urls":["[T_ENV:PUB]"]`), "urls[0]", "also behind the tag"},
		{"URL with a tag and no host", leastAnd(`"urls":["[T_ENV:PUB]http://"]`), "urls[0]", `"http://" has no host`},
		{"URL without host", leastAnd(`"urls":["http:///x"]`), "urls[0]", "has no host"},
		{"URL with a fragment", leastAnd(`"urls":["http://h/#x"]`), "urls[0]", "has a fragment"},
		{"URL unreadable", leastAnd(`"urls":["http://h:port/"]`), "urls[0]", "is not a URL"},
		{"URL with no such port", leastAnd(`"urls":["http://h:65536/"]`), "urls[0]", "there is no port 65536"},
		{"URL with port 0", leastAnd(`"urls":["http://h:0/"]`), "urls[0]", "there is no port 0"},
		{"URL with a bad tag", leastAnd(`"urls":["[T_ENV:]http://h/"]`), "urls[0]", "has a tag that is not [T_ENV:NAME]"},
		{"tagged URL", leastAnd(`"urls":["[T_ENV:PUB]h"]`), "urls[0]", "must begin with"},
		{"concurrency 0", leastAnd(`"concurrency":0`), "concurrency", "0 is outside 1 to 1500"},
		{"concurrency high", leastAnd(`"concurrency":1501`), "concurrency", "1501 is outside 1 to 1500"},
		{"concurrency a string", leastAnd(`"concurrency":"8"`), "concurrency", `"8" is not a whole number`},
		{"concurrency a fraction", leastAnd(`"concurrency":1.5`), "concurrency", "1.5 is not a whole number"},
		{"concurrency huge", leastAnd(`"concurrency":99999999999999999999`), "concurrency", "is not a whole number"},
		{"retry_concurrency", leastAnd(`"retry_concurrency":61`), "retry_concurrency", "outside 1 to 60"},
		{"interval negative", leastAnd(`"interval":"-1s"`), "interval", "-1s is outside 0s to 1h"},
		{"interval a number", leastAnd(`"interval":5`), "interval", `5 is not a duration in quotes such as "500ms"`},
		{"interval no duration", leastAnd(`"interval":"5"`), "interval", `"5" is not a duration such as`},
		{"timeout 0", leastAnd(`"timeout":"0s"`), "timeout", "0s is outside 1ms to 30s"},
		{"timeout high", leastAnd(`"timeout":"31s"`), "timeout", "31s is outside 1ms to 30s"},
		{"max_retries", leastAnd(`"max_retries":-1`), "max_retries", "-1 is outside 0 to 10000"},
		{"retry_coefficient", leastAnd(`"retry_coefficient":"25h"`), "retry_coefficient", "outside 0s to 24h"},
		{"retry_schedule high", leastAnd(`"retry_schedule":["5s","25h"]`), "retry_schedule[1]", "25h is outside 0s to 24h"},
		{"retry_schedule negative", leastAnd(`"retry_schedule":["-5s"]`), "retry_schedule[0]", "-5s is outside 0s to 24h"},
		{"retry_schedule long", leastAnd(`"retry_schedule":["5s"` + strings.Repeat(`,"5s"`, 64) + `]`), "retry_schedule", "holds 65 waits before retries; give at most 64"},
		{"retry_schedule no duration", leastAnd(`"retry_schedule":["soon"]`), "retry_schedule[0]", `"soon" is not a duration such as 500ms or 1m30s`},
		{"retry_schedule with a number", leastAnd(`"retry_schedule":["5s",60]`), "retry_schedule[1]", `60 is not a duration in quotes such as "500ms" or "1m30s"`},
		{"retry_schedule no list", leastAnd(`"retry_schedule":"5s"`), "retry_schedule", `"5s" is not a list of durations in quotes such as ["500ms","1m30s"]`},
		{"null for a wait", leastAnd(`"retry_schedule":["5s",null]`), "retry_schedule[1]", "is null; leave it out"},
		{"null for a URL", `{"topic":"a","urls":["http://h/",null]}`, "urls[1]", "is null; leave it out"},
		{"null for a receiver", leastAnd(`"alert":{"urls":[null]}`), "alert.urls[0]", "is null; leave it out"},
		{"null for the value of a header", leastAnd(`"headers":{"X-A":null}`), "headers", `"X-A" is null; leave it out`},
		{"encoding", leastAnd(`"encoding":"xml"`), "encoding", `"xml" is not one of json, form`},
		{"paused", leastAnd(`"paused":"yes"`), "paused", `"yes" is not true or false`},
		{"header reserved", leastAnd(`"headers":{"Webhook-Id":"1"}`), "headers", `"Webhook-Id" is set by the dispatcher`},
		{"header value", leastAnd(`"headers":{"X":"a\nb"}`), "headers", "control character"},
		{"headers a list", leastAnd(`"headers":["X"]`), "headers", "is not an object of strings"},
		{"drop not an object", leastAnd(`"drop":"log"`), "drop", "must be a JSON object"},
		{"drop.action", leastAnd(`"drop":{"action":"burn"}`), "drop.action", "is not one of keep, log, drop"},
		{"drop.threshold", leastAnd(`"drop":{"threshold":-1}`), "drop.threshold", "is outside"},
		{"alert.window", leastAnd(`"alert":{"window":"1ms"}`), "alert.window", "1ms is outside 1s to"},
		{"alert.every", leastAnd(`"alert":{"every":"0s"}`), "alert.every", "0s is outside 1s to"},
		{"alert.backlog", leastAnd(`"alert":{"backlog":-1}`), "alert.backlog", "-1 is below 0"},
		{"secret without prefix", leastAnd(`"secret":"hunter2"`), "secret", "must begin with whsec_"},
		{"secret no base64", leastAnd(`"secret":"whsec_!"`), "secret", "must have base64 behind whsec_"},
		{"secret short", leastAnd(`"secret":"whsec_MTIz"`), "secret", "holds 3 bytes behind whsec_; give 24 to 64"},
		{"mask and no secret", leastAnd(`"secret":"whsec_********"`), "secret", "there is none to keep"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := testRules().Replace("billing", nil, []byte(tc.doc), ruleTime)
			var p Problems
			if !errors.As(err, &p) || slices.ContainsFunc(p, func(e FieldError) bool { return e.Field != tc.field }) {
				t.Fatalf("error %v, want one of %s alone", err, tc.field)
			}
			wantError(t, p[0], tc.want)
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
}

func TestEveryWrongFieldIsListedAtOnce(t *testing.T) {
	doc := `{"id":"x y","topic":"","urls":["ftp://h"],"colour":"red","concurrency":0,"timeout":"1h","encoding":"xml","secret":"s","drop":{"action":"x","y":1}}`
	_, _, err := testRules().Replace("billing", nil, []byte(doc), ruleTime)
	var p Problems
	if !errors.As(err, &p) {
		t.Fatalf("error %T %v, want Problems", err, err)
	}
	fields := map[string]bool{}
	for _, e := range p {
		fields[e.Field] = true
	}
	want := []string{"colour", "concurrency", "drop.action", "drop.y", "encoding", "id", "secret", "timeout", "topic", "urls[0]"}
	if got := slices.Sorted(maps.Keys(fields)); !slices.Equal(got, want) {
		t.Errorf("problems of %v\nwant %v", got, want)
	}
	if lines := strings.Count(err.Error(), "\n") + 1; lines != len(p) {
		t.Errorf("%d lines for %d problems", lines, len(p))
	}
}

func TestIDMayBeLeftOut(t *testing.T) {
	for _, doc := range []string{least, leastAnd(`"id":"billing"`), leastAnd(`"id":null`)} {
		if _, s := mustReplace(t, testRules(), nil, doc); s.ID != "billing" {
			t.Errorf("%s: id %q", doc, s.ID)
		}
	}
	for id, want := range map[string]string{
		"A0._-": "", strings.Repeat("a", 64): "", strings.Repeat("a", 65): "at most 64", "": "must start", "-a": "must start", ".": "must start", "a b": "hold", "a\n": "hold", "ä": "must start",
	} {
		wantError(t, CheckSubscriptionID(id), want)
	}
}

func TestNullIsTheDefault(t *testing.T) {
	_, got := mustReplace(t, testRules(), nil, leastAnd(`"concurrency":null,"interval":null,"drop":null,"alert":{"window":null},"headers":null,"secret":null`))
	if _, want := mustReplace(t, testRules(), nil, least); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestReceiversAreChecked when they are written; one that was stored before is kept.
func TestReceiversAreChecked(t *testing.T) {
	r := testRules()
	r.Receiver = func(url string) error {
		if url == "slack://hush" {
			return errors.New("is wrong")
		}
		return nil
	}
	const doc = `{"id":"x","topic":"a","urls":["http://h/"],"alert":{"urls":["smtp://ok","slack://hush"]}}`
	_, _, err := r.Replace("x", nil, []byte(doc), time.Now())
	if err == nil || err.Error() != "alert.urls[1]: is wrong" {
		t.Errorf("%v", err)
	}
	if s, _, err := r.Load("x", []byte(doc)); err != nil || len(s.Alert.URLs) != 2 {
		t.Errorf("%v %v", s.Alert, err)
	}
	many := strings.Replace(doc, `"smtp://ok","slack://hush"`, strings.Repeat(`"smtp://ok",`, 16)+`"smtp://ok"`, 1)
	if _, _, err := r.Replace("x", nil, []byte(many), time.Now()); err == nil || !strings.Contains(err.Error(), "alert.urls: holds 17 receivers; give at most 16") {
		t.Errorf("%v", err)
	}
}

func TestDeniedLiteralAddresses(t *testing.T) {
	r := testRules()
	r.Denied = http1.NewGuard([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fc00::/7")}).Denied
	for _, u := range []string{
		"http://10.1.2.3/", "https://u:p@10.1.2.3:8443/x", "http://[::ffff:10.1.2.3]/", "http://[::ffff:a01:203]:80/", "http://[fc00::1]/",
		"http://169.254.169.254/latest/meta-data", "http://[::ffff:169.254.169.254]/", "http://[fe80::1%25eth0]/", "[T_ENV:PUB]http://10.0.0.1/",
	} {
		stored, _, err := r.Replace("billing", nil, []byte(`{"topic":"a","urls":["http://h/","`+u+`"]}`), ruleTime)
		var p Problems
		if !errors.As(err, &p) || len(p) != 1 || p[0].Field != "urls[1]" || stored != nil {
			t.Errorf("%s: stored %s, error %v, want one of urls[1]", u, stored, err)
			continue
		}
		wantError(t, err, "denied address")
		if strings.Contains(err.Error(), "u:p") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
	for _, u := range []string{"http://11.1.2.3/", "http://[2001:db8::1]/", "http://internal.example/", "http://[::ffff:11.1.2.3]/"} {
		stored, _, err := r.Replace("billing", nil, []byte(`{"topic":"a","urls":["`+u+`"]}`), ruleTime)
		if err != nil {
			t.Errorf("%s: %v", u, err)
		}
		// An address that is denied later fails when it is connected to: the subscription stays.
		r := testRules()
		r.Denied = func(netip.Addr) bool { return true }
		if _, warnings, err := r.Load("billing", stored); err != nil || len(warnings) > 0 {
			t.Errorf("load of %s: %v %v", u, warnings, err)
		}
	}
}
