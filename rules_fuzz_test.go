package medispatcher

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

// FuzzSubscription: what Replace and Merge accept, Load accepts with the same meaning,
// and written again it stays as it is; what they refuse, they refuse field by field.
func FuzzSubscription(f *testing.F) {
	for _, seed := range [][2]string{
		{least, `{"concurrency":32,"secret":"` + secretB + `"}`},
		{leastAnd(`"secret":"` + secretA + `","headers":{"X-A":"1"}`), `{"headers":{"X-A":null,"x-b":"\u00e9"},"secret":"whsec_********"}`},
		{leastAnd(`"drop":{"threshold":3,"action":"log"},"interval":"5ms"`), `{"drop":{"action":null},"interval":null,"alert":{"backlog":0,"urls":["x"]}}`},
		{leastAnd(`"id":null,"alert":null`), `{"id":"x","topic":"a.>"}`},
		{`{"topic":">","urls":["[T_ENV:A]http://[::1]:1/","https://u:p@h/%20?q"]}`, `{"urls":[null],"paused":{"a":{"b":null}}}`},
		{leastAnd(`"timeout":"1h","concurrency":1e9`), `[]`},
	} {
		f.Add([]byte(seed[0]), []byte(seed[1]))
	}
	old := []byte(leastAnd(`"secret":"` + secretA + `"`))
	f.Fuzz(func(t *testing.T, doc, patch []byte) {
		stored, s, err := testRules().Replace("billing", old, doc, ruleTime)
		if accepted(t, stored, s, err) {
			merged, s, err := testRules().Merge("billing", stored, patch, ruleTime)
			accepted(t, merged, s, err)
		}
		merged, s, err := testRules().Merge("billing", old, patch, ruleTime)
		accepted(t, merged, s, err)
		_, _, _ = testRules().Merge("billing", doc, patch, ruleTime) // whatever is stored
		_, _, _ = testRules().Load("billing", doc)
	})
}

// accepted checks what Replace or Merge returned; it reports whether they accepted.
func accepted(t *testing.T, stored []byte, s Subscription, err error) bool {
	t.Helper()
	if err != nil {
		var p Problems
		if !errors.As(err, &p) || stored != nil {
			t.Errorf("stored %s, error %T %v; want Problems alone", stored, err, err)
		}
		for _, e := range p {
			if e.Field == "" || strings.ContainsAny(e.Error(), "\r\n") {
				t.Errorf("problem %q names no field, or is not one line", e.Error())
			}
		}
		return false
	}
	if s.Secret == SecretMask || s.ID != "billing" || s.Topic == "" || len(s.URLs) == 0 {
		t.Errorf("accepted %+v", s)
	}
	loaded, warnings, err := testRules().Load("billing", stored)
	if err != nil || len(warnings) > 0 || !sameSubscription(*loaded, s) {
		t.Errorf("accepted as %+v\nstored %s\nloaded as %+v, %v, %v", s, stored, loaded, warnings, err)
	}
	again, s2, err := testRules().Merge("billing", stored, []byte(`{}`), ruleTime.Add(time.Hour))
	if err != nil || string(again) != string(stored) || !sameSubscription(s2, s) {
		t.Errorf("%s became %s by an empty patch, %v", stored, again, err)
	}
	return true
}

func sameSubscription(a, b Subscription) bool {
	same := a.PreviousUntil.Equal(b.PreviousUntil)
	a.PreviousUntil, b.PreviousUntil = time.Time{}, time.Time{}
	return same && reflect.DeepEqual(a, b)
}
