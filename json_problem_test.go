package medispatcher

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestJSONProblem(t *testing.T) {
	t.Parallel()
	type form struct {
		IDs   []string
		N     *int
		Inner struct{ Text string }
		Float float64
		Yes   bool
	}
	for raw, want := range map[string]string{
		`3`:                       "it is a JSON number",
		`[1]`:                     "it is a JSON array",
		`{"ids":3}`:               "IDs is a JSON number, not a list",
		`{"ids":[3]}`:             "IDs is a JSON number, not a string",
		`{"n":1.5}`:               "N is a JSON number, not a whole number",
		`{"inner":[]}`:            "Inner is a JSON array, not an object",
		`{"inner":{"text":true}}`: "Inner.Text is a JSON bool, not a string",
		`{"float":"x"}`:           "Float is a JSON string, not a number",
		`{"yes":"x"}`:             "Yes is a JSON string, not true or false",
		`{"yes":tru`:              "it ends too early",
		``:                        "it ends too early",
		`nope`:                    "invalid character 'o' in literal null (expecting 'u'), at byte 2",
		`{"other":1}`:             `unknown field "other"`,
	} {
		d := json.NewDecoder(strings.NewReader(raw))
		d.DisallowUnknownFields()
		if got := JSONProblem(d.Decode(&form{})); got != want {
			t.Errorf("%s: %q, want %q", raw, got, want)
		}
	}
}
