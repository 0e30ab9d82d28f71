package medispatcher

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	secretA = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	secretB = "whsec_QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJC"
	secretC = "whsec_Q0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQ0ND"
)

func mustMerge(t *testing.T, r *Rules, old []byte, patch string) ([]byte, Subscription) {
	t.Helper()
	stored, s, err := r.Merge("billing", old, []byte(patch), ruleTime)
	if err != nil {
		t.Fatalf("%s: %v", patch, err)
	}
	return stored, s
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y any
	if err := errors.Join(json.Unmarshal(a, &x), json.Unmarshal(b, &y)); err != nil {
		t.Fatal(err)
	}
	return reflect.DeepEqual(x, y)
}

func TestMergeRefuses(t *testing.T) {
	for _, tc := range []struct{ name, patch, field, want string }{
		{"unknown field", `{"colour":"red"}`, "colour", "is not a field"},
		{"required field removed", `{"topic":null}`, "topic", "is missing"},
		{"another id", `{"id":"other"}`, "id", "is not the id in the path"},
		{"value for object", `{"drop":1}`, "drop", "must be a JSON object"},
		{"object for value", `{"concurrency":{"a":1}}`, "concurrency", "is not a whole number"},
		{"null header in a list", `{"urls":[null]}`, "urls[0]", "is null; leave it out"},
		{"field of the dispatcher", `{"previous_secret_until":"2030-01-01T00:00:00Z"}`, "previous_secret_until", "is not a field"},
		{"batches of another encoding", `{"encoding":"form","batch":{"size":2}}`, "batch.size", "has no batches"},
		{"batch that waits too long", `{"timeout":"2s","batch":{"size":2,"wait":"3s"}}`, "batch.wait", "3s is longer than the timeout, 2s"},
		{"batch without a message", `{"batch":{"size":0}}`, "batch.size", "outside 1 to 1000"},
		{"bytes as a number", `{"batch":{"bytes":1024}}`, "batch.bytes", "a size in quotes"},
		{"bytes that are none", `{"batch":{"bytes":"much"}}`, "batch.bytes", "is not a size"},
		{"too few bytes", `{"batch":{"bytes":"1023B"}}`, "batch.bytes", "1023B is outside 1KiB to 64MiB"},
		{"format of a batch", `{"batch":{"format":"xml"}}`, "batch.format", "is not one of ndjson, json"},
		{"not an object", `3`, "body", "is not a JSON object"},
		{"null", `null`, "body", "is null"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			old, _ := mustReplace(t, testRules(), nil, leastAnd(`"secret":"`+secretA+`"`))
			_, _, err := testRules().Merge("billing", old, []byte(tc.patch), ruleTime)
			var p Problems
			if !errors.As(err, &p) || len(p) != 1 || p[0].Field != tc.field {
				t.Fatalf("error %v, want one problem of %s", err, tc.field)
			}
			wantError(t, err, tc.want)
		})
	}
}

// TestSecretRotation follows one subscription through its changes.
func TestSecretRotation(t *testing.T) {
	r, until := testRules(), ruleTime.Add(24*time.Hour)
	var stored []byte
	for _, step := range []struct {
		name             string
		merge            bool
		doc              string
		secret, previous string
	}{
		{name: "none", doc: least},
		{name: "the first", doc: leastAnd(`"secret":"` + secretA + `"`), secret: secretA},
		{name: "the mask keeps it", doc: leastAnd(`"secret":"whsec_********"`), secret: secretA},
		{name: "the mask in a patch keeps it", merge: true, doc: `{"secret":"whsec_********","paused":true}`, secret: secretA},
		{name: "a patch of something else keeps it", merge: true, doc: `{"paused":false}`, secret: secretA},
		{name: "another: two", doc: leastAnd(`"secret":"` + secretB + `"`), secret: secretB, previous: secretA},
		{name: "the mask keeps both", doc: leastAnd(`"secret":"whsec_********"`), secret: secretB, previous: secretA},
		{name: "the same keeps both", doc: leastAnd(`"secret":"` + secretB + `"`), secret: secretB, previous: secretA},
		{name: "a patch keeps both", merge: true, doc: `{"concurrency":3}`, secret: secretB, previous: secretA},
		{name: "a third: the last two", merge: true, doc: `{"secret":"` + secretC + `"}`, secret: secretC, previous: secretB},
		{name: "removed", merge: true, doc: `{"secret":null}`},
		{name: "a new first has nothing beside it", merge: true, doc: `{"secret":"` + secretA + `"}`, secret: secretA},
		{name: "left out: removed", doc: least},
	} {
		var s Subscription
		if step.merge {
			stored, s = mustMerge(t, r, stored, step.doc)
		} else {
			stored, s = mustReplace(t, r, stored, step.doc)
		}
		loaded, _, err := r.Load("billing", stored)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		for _, s := range []Subscription{s, *loaded} {
			if s.Secret != step.secret || s.PreviousSecret != step.previous || step.previous != "" && !s.PreviousUntil.Equal(until) {
				t.Errorf("%s: secret %q, previous %q until %s; want %q and %q until %s", step.name, s.Secret, s.PreviousSecret, s.PreviousUntil, step.secret, step.previous, until)
			}
			shown, err := json.Marshal(s.Masked())
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(shown), secretA) || strings.Contains(string(shown), secretB) || (step.secret != "") != strings.Contains(string(shown), SecretMask) {
				t.Errorf("%s: shown as %s", step.name, shown)
			}
		}
	}
}

func TestLaterChangesDoNotProlongARotation(t *testing.T) {
	r := testRules()
	stored, _ := mustReplace(t, r, nil, leastAnd(`"secret":"`+secretA+`"`))
	stored, _ = mustMerge(t, r, stored, `{"secret":"`+secretB+`"}`)
	_, s, err := r.Merge("billing", stored, []byte(`{"paused":true}`), ruleTime.Add(23*time.Hour))
	if err != nil || !s.PreviousUntil.Equal(ruleTime.Add(24*time.Hour)) {
		t.Errorf("previous secret until %s, %v", s.PreviousUntil, err)
	}
}

func TestMaskingLeavesTheOriginal(t *testing.T) {
	s := Subscription{Secret: secretA}
	if m := s.Masked(); m.Secret != SecretMask || s.Secret != secretA {
		t.Errorf("masked %q, the original %q", m.Secret, s.Secret)
	}
	if m := (Subscription{}).Masked(); m.Secret != "" {
		t.Errorf("no secret is shown as %q", m.Secret)
	}
}

func TestSecretKeyTakesBase64WithAndWithoutPadding(t *testing.T) {
	for secret, size := range map[string]int{
		"whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NQ==": 25, "whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NQ": 25, secretA: 24,
		"whsec_" + strings.Repeat("QUFB", 21) + "QQ==": 64,
	} {
		if key, err := SecretKey(secret); err != nil || len(key) != size {
			t.Errorf("%s: %d bytes, %v; want %d", secret, len(key), err, size)
		}
	}
	_, err := SecretKey("whsec_" + strings.Repeat("QUFB", 22))
	wantError(t, err, "holds 66 bytes")
}

func TestLoadCutsWhatIsOverALoweredMaximum(t *testing.T) {
	stored, _ := mustReplace(t, testRules(), nil, leastAnd(`"concurrency":1000,"retry_concurrency":50,"timeout":"20s"`))
	r := testRules()
	r.Max = Subscription{Concurrency: 100, RetryConcurrency: 50, Timeout: Duration(10 * time.Second)}
	s, warnings, err := r.Load("billing", stored)
	if err != nil || s.Concurrency != 100 || s.RetryConcurrency != 50 || time.Duration(s.Timeout) != 10*time.Second {
		t.Errorf("%d, %d, %s, %v", s.Concurrency, s.RetryConcurrency, s.Timeout, err)
	}
	want := []string{"concurrency 1000 is over the maximum; 100 is used", "timeout 20s is over the maximum; 10s is used"}
	if !slices.Equal(warnings, want) {
		t.Errorf("warnings %q\nwant %q", warnings, want)
	}
	if s, warnings, err := testRules().Load("billing", stored); err != nil || s.Concurrency != 1000 || len(warnings) > 0 {
		t.Errorf("with the old maximum again: %d, %v, %v", s.Concurrency, warnings, err)
	}
}

func TestChangedDefaultReachesAStoredDocument(t *testing.T) {
	old, _ := mustReplace(t, testRules(), nil, leastAnd(`"retry_concurrency":5`))
	stored, _ := mustMerge(t, testRules(), old, `{"alert":{"backlog":1}}`)
	r := testRules()
	r.Defaults.Concurrency, r.Defaults.RetryConcurrency, r.Defaults.Timeout = 20, 20, Duration(time.Second)
	r.Defaults.Alert.URLs, r.Defaults.Alert.Failures = []string{"a://b"}, 7
	s, _, err := r.Load("billing", stored)
	if err != nil || s.Concurrency != 20 || s.RetryConcurrency != 5 || s.Timeout != Duration(time.Second) || s.Alert.Failures != 7 || s.Alert.Backlog != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	s.Alert.URLs[0] = "changed"
	if r.Defaults.Alert.URLs[0] != "a://b" {
		t.Error("a subscription shares memory with the defaults")
	}
}

func TestLoad(t *testing.T) {
	for _, tc := range []struct{ name, stored, want string }{
		{"the hash field is the truth about the id", leastAnd(`"id":"other"`), ""},
		{"not JSON", "x", "body: is not a JSON object"},
		{"null", "null", "body: is null"},
		{"nothing usable", `{"topic":"a","urls":[]}`, "urls: holds 0 worker URLs"},
	} {
		s, _, err := testRules().Load("billing", []byte(tc.stored))
		wantError(t, err, tc.want)
		if err == nil && s.ID != "billing" {
			t.Errorf("%s: id %q", tc.name, s.ID)
		}
	}
}

// TestLoadFieldsOfNewerVersions: a field that a newer version stored is told, and costs nobody the subscription.
func TestLoadFieldsOfNewerVersions(t *testing.T) {
	s, warnings, err := testRules().Load("billing", []byte(leastAnd(`"colour":1,"drop":{"threshold":3,"after":"1h"},"drop.action":"log","concurrency":3`)))
	if err != nil || s.Concurrency != 3 || s.Drop.Threshold != 3 || s.Drop.Action != DropKeep {
		t.Errorf("loaded %+v, %v", s, err)
	}
	want := []string{"colour", "drop.action", "drop.after"}
	for i := range want {
		want[i] += " is not a field that this version knows; it has no effect here"
	}
	if slices.Sort(warnings); !slices.Equal(warnings, want) {
		t.Errorf("warnings %q, want %q", warnings, want)
	}
}

func TestUnreadableDocumentCanBeReplaced(t *testing.T) {
	if _, s := mustReplace(t, testRules(), []byte("garbage"), least); s.Topic != "order.*" {
		t.Errorf("%+v", s)
	}
}
