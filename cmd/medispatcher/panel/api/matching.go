package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
)

// A request may name messages by a text that they hold, in all three places where messages wait for an operator. A list
// shows those that match, a count says how many there are, and a replay or a purge acts on exactly those.

// aboutMatch ends the description of an operation that has a match.
const aboutMatch = " With a text, one request looks at messages for a limited time. If next is there, repeat the request with it as after."

// Matching is the parameters of a search. It is exported because huma reads no fields of an embedded type that is not.
type Matching struct {
	Q     string `query:"q" doc:"Only those that hold this text, in upper or lower case: dead letters in their ids, topic, key, sender, last answer, target or (not for the role reader) body; kept messages in their ids, topic, key, sender, reason or source" example:"order-42"`
	After string `query:"after" doc:"Only messages after this one: the next of the answer before"`
	match medispatcher.Match
}

// Resolve is called by huma before the handler. An empty ?q= is refused: a script whose variable is empty would purge everything.
func (in *Matching) Resolve(ctx huma.Context) []error {
	u := ctx.URL()
	values, given := u.Query()["q"]
	if !given {
		return nil
	}
	var err error
	if in.match, err = medispatcher.ParseMatch(strings.Join(values, " ")); err != nil {
		return []error{&huma.ErrorDetail{Location: "query.q", Message: err.Error(), Value: in.Q}}
	}
	return nil
}

// search leaves bodies out for a role that sees none: what a search finds would tell of them.
func (in *Matching) search(ctx context.Context) medispatcher.Search {
	q := medispatcher.Search{Match: in.match, After: in.After}
	if !seesBodies(ctx) {
		q.Match = q.Match.WithoutBodies()
	}
	return q
}

// Until is the parameter that leaves out what arrived after a count.
type Until struct {
	Until string `query:"until" doc:"None that arrived after the one with this id: the until of a count"`
}

type matchCount struct {
	Matching int64  `json:"matching" doc:"How many of those that this request looked at match"`
	Searched int64  `json:"searched" doc:"How many it looked at"`
	Until    string `json:"until,omitempty" doc:"The newest message that was there when the count began; pass it as ?until= to act on those counted and no others"`
	Next     string `json:"next,omitempty" doc:"Pass it as ?after= with the same until, and add up; absent when the count is complete"`
}

type matchCountOutput struct{ Body matchCount }

type matchCountInput struct {
	Matching
	Until
}

// count is the operation that counts the messages of a list that match. path is that of the list.
func countOperation(id, path, what, tag string, errs []int) huma.Operation {
	return huma.Operation{
		OperationID: id, Method: http.MethodGet, Path: path + "/count", Summary: "Count " + what + " that match", Tags: []string{tag},
		Description: "Looks at messages for a limited time, the oldest first.",
		Errors:      errs,
		Responses:   ok("200", "How many", matchCount{Matching: 42, Searched: 5000, Until: "0-1767225600000-0", Next: "0-1767225000000-0"}),
	}
}

func countOutput(n medispatcher.MatchCount, err error) (*matchCountOutput, error) {
	if err != nil {
		return nil, badID(err, "after")
	}
	return &matchCountOutput{matchCount{n.Matching, n.Looked, n.Until, n.Next}}, nil
}

// within says yes for a while.
func within(d time.Duration) func(int64) bool {
	until := time.Now().Add(d)
	return func(int64) bool { return time.Now().Before(until) }
}

// matching turns a step that acts on the messages that match into one that returns an outcome.
func matching(step func(ctx context.Context, q medispatcher.Search, more func(int64) bool) (medispatcher.MatchDone, error)) func(context.Context, medispatcher.Search, func(int64) bool) (outcome, error) {
	return func(ctx context.Context, q medispatcher.Search, more func(int64) bool) (outcome, error) {
		done, err := step(ctx, q, more)
		return outcome{done: done.Done, next: done.Next}, err
	}
}
