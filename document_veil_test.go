package medispatcher

import (
	"encoding/json"
	"slices"
	"testing"
)

// TestVeil: to a version that does not know an encoding, its subscription is paused; so it copies messages, and pushes none. To this
// one nothing is different.
func TestVeil(t *testing.T) {
	r := testRules()
	stored, sub := mustReplace(t, r, nil, leastAnd(`"encoding":"cloudevents","batch":{"size":5}`))
	if sub.Encoding != EncodingCloudEvents || sub.Paused {
		t.Errorf("put: %+v", sub)
	}
	earlier := func(stored []byte) (encoding string, paused bool) {
		t.Helper()
		d, err := parseDocument(stored)
		if err != nil {
			t.Fatal(err)
		}
		if forgotten := d.forget(""); !slices.Equal(forgotten, []string{fieldLater}) {
			t.Errorf("an earlier version forgets %v of %s", forgotten, stored)
		}
		s, problems := r.read(d)
		c := checker{Rules: r, sub: s, stored: true, problems: problems}
		if c.check(); len(c.problems) > 0 {
			t.Errorf("an earlier version cannot read %s: %v", stored, c.problems)
		}
		return s.Encoding, s.Paused
	}
	same := func(what string, stored []byte, paused bool) {
		t.Helper()
		if encoding, paused := earlier(stored); encoding != EncodingJSON || !paused {
			t.Errorf("%s: an earlier version reads %s, paused %v", what, encoding, paused)
		}
		got, warnings, err := r.Load("billing", stored)
		if err != nil || len(warnings) > 0 || got.Encoding != EncodingCloudEvents || got.Paused != paused || got.Batch.Size != 5 {
			t.Errorf("%s: %+v, %v, %v", what, got, warnings, err)
		}
	}
	same("put", stored, false)
	stored, _ = mustMerge(t, r, stored, `{"paused":true}`)
	same("pause", stored, true)
	stored, _ = mustMerge(t, r, stored, `{"paused":null,"timeout":"3s"}`)
	same("resume", stored, false)
	again, _ := mustReplace(t, r, stored, leastAnd(`"encoding":"cloudevents","batch":{"size":5}`))
	same("put again", again, false)

	stored, sub = mustMerge(t, r, stored, `{"encoding":"json"}`)
	if d, _ := parseDocument(stored); sub.Encoding != EncodingJSON || sub.Paused || d[fieldLater] != nil || d["paused"] != nil {
		t.Errorf("to an encoding that all know: %s", stored)
	}
	for _, doc := range []string{leastAnd(`"later":{"encoding":"cloudevents"}`)} {
		if _, _, err := r.Replace("billing", nil, []byte(doc), ruleTime); err == nil {
			t.Errorf("%s is taken", doc)
		}
	}
}

// TestVeilThatIsSpoiled: what somebody spoiled by hand leaves the subscription paused.
func TestVeilThatIsSpoiled(t *testing.T) {
	stored, _ := mustReplace(t, testRules(), nil, leastAnd(`"encoding":"cloudevents"`))
	d, err := parseDocument(stored)
	if err != nil {
		t.Fatal(err)
	}
	for _, later := range []string{`"x"`, `null`, `[]`} {
		d[fieldLater] = json.RawMessage(later)
		raw, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if sub, _, err := testRules().Load("billing", raw); err != nil || !sub.Paused || sub.Encoding != EncodingJSON {
			t.Errorf("%s: %+v, %v", later, sub, err)
		}
	}
}
