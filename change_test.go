package medispatcher

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestChangeOf(t *testing.T) {
	before := Subscription{ID: "a", Topic: "t", Concurrency: 8, Secret: "whsec_old", Drop: DropPolicy{Action: DropKeep}}
	after := before
	after.Concurrency, after.Secret, after.Drop.Action = 32, "whsec_new", DropLog
	kind, fields := ChangeOf(&before, &after)
	if kind != Changed || len(fields) != 3 || string(fields["concurrency"].From) != "8" || string(fields["concurrency"].To) != "32" ||
		string(fields["drop.action"].To) != `"log"` || string(fields["secret"].To) != `"`+SecretMask+`"` {
		t.Errorf("%s %s", kind, show(t, fields))
	}
	kind, fields = ChangeOf(nil, &after)
	if kind != Created || fields["topic"].From != nil || string(fields["topic"].To) != `"t"` {
		t.Errorf("%s %s", kind, show(t, fields))
	}
	kind, fields = ChangeOf(&after, nil)
	if text := show(t, fields); kind != Removed || fields["topic"].To != nil || strings.Contains(text, "whsec_new") {
		t.Errorf("%s %s", kind, text)
	}
	if _, fields := ChangeOf(&before, &before); len(fields) != 0 {
		t.Errorf("no change is %s", show(t, fields))
	}
}

func show(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestShown(t *testing.T) {
	for _, tc := range []struct{ from, to, want string }{
		{`"a\u003e\u0026b"`, `"c"`, "a>&b → c"},
		{`8`, `{"x":"\u003c"}`, `8 → {"x":"<"}`},
		{``, `null`, "none → none"},
		{`"a\"b"`, `""`, `"a\"b" → none`},
	} {
		from, to := FieldChange{From: []byte(tc.from), To: []byte(tc.to)}.Shown()
		if got := from + " → " + to; got != tc.want {
			t.Errorf("%s, want %s", got, tc.want)
		}
	}
}
