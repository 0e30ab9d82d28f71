package operate

import (
	"github.com/solate/medispatcher"
)

// Tried is what a filter makes of a message.
type Tried struct {
	Matches bool   `json:"matches" doc:"A subscription with this filter gets the message"`
	Error   string `json:"error,omitempty" doc:"Why the filter fails at this message, which is then delivered" example:"no such key: total"`
}

// TryFilter asks an expression about a message that is not published. The error is medispatcher.Problems: the expression is wrong.
func TryFilter(rules medispatcher.Rules, expression string, m *medispatcher.Message) (Tried, error) {
	if expression == "" {
		return Tried{Matches: true}, nil
	}
	if err := rules.CheckFilter(expression); err != nil {
		return Tried{}, medispatcher.Problems{{Field: "filter", Problem: err.Error()}}
	}
	want := medispatcher.Wanted{IDs: []string{""}, Filters: []medispatcher.Filter{rules.Filter(expression)}}
	var t Tried
	ids, _ := want.Verdicts(m, func(_ string, err error) { t.Error = err.Error() })
	t.Matches = len(ids) > 0
	return t, nil
}
