package api

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/problem"
)

// Messages wait for an operator in three places: the dead letters of a subscription, the unrouted messages and the
// quarantine. This file is what the three have in common: a request replays or purges the messages that it names, or all.

// changeFor is how long one request works on all messages of a place. The next request takes what is left.
const changeFor = answerTimeout / 2

// aboutChange ends the description of every such operation.
const aboutChange = " One request works for a limited time. remaining is how many it has left: repeat the request until it is 0. " +
	"missing is how many of the ids were not there."

// change is one such request, and the two ways to do it.
type change struct {
	done, what string              // replayed, dead letters: for the log and for what failed half-way
	where      []any               // for the log
	ids        []string            // none: those of the search, or all
	search     medispatcher.Search // used where it has a match
	parameter  string              // where the request named them; empty: in the body
	some       func(ctx context.Context, ids []string) (outcome, error)
	match      func(ctx context.Context, q medispatcher.Search, more func(looked int64) bool) (outcome, error)
	all        func(ctx context.Context, more func(done, all int64) bool) (outcome, error)
}

// outcome is how many messages a change came to. Messages that arrived after the request began do not count.
type outcome struct {
	done, left, missing, refused int64
	next                         string // where those that match go on
}

// counted turns a step that returns only how many of the ids it found into one that returns an outcome.
func counted(step func(ctx context.Context, ids []string) (int, error)) func(context.Context, []string) (outcome, error) {
	return func(ctx context.Context, ids []string) (outcome, error) {
		n, err := step(ctx, ids)
		slices.Sort(ids)
		return outcome{done: int64(n), missing: int64(len(slices.Compact(ids)) - n)}, err
	}
}

// measured does the same for a step that returns how many it did and left.
func measured(step func(context.Context, func(done, all int64) bool) (done, left int64, err error)) func(context.Context, func(done, all int64) bool) (outcome, error) {
	return func(ctx context.Context, more func(done, all int64) bool) (outcome, error) {
		done, left, err := step(ctx, more)
		return outcome{done: done, left: left}, err
	}
}

// do does it, and logs who asked for it.
func (a *api) do(ctx context.Context, c change) (out outcome, err error) {
	deedOf(ctx).Name(c.ids)
	more := within(changeFor)
	switch {
	case len(c.ids) > 0:
		out, err = c.some(ctx, c.ids)
	case !c.search.Match.All():
		out, err = c.match(ctx, c.search, more)
	default:
		out, err = c.all(ctx, func(done, _ int64) bool { return more(done) })
	}
	if field, bad := errors.AsType[medispatcher.FieldError](err); bad && !c.search.Match.All() {
		return out, problem.Invalid(medispatcher.Problems{{Field: "after", Problem: field.Problem}})
	}
	if problems, bad := errors.AsType[medispatcher.Problems](err); bad {
		for i := range problems {
			problems[i].Field = cmp.Or(c.parameter, problems[i].Field)
		}
		return out, problem.Invalid(problems)
	}
	if err != nil {
		return out, unavailable(fmt.Sprintf("%d %s were %s, not all of them", out.done, c.what, c.done), err)
	}
	about := append(c.where, "by", medispatcher.Actor(ctx), "count", out.done, "remaining", out.left)
	if out.refused > 0 {
		about = append(about, "refused", out.refused)
	}
	a.Log.Info(c.what+" "+c.done, about...)
	return out, nil
}

// IDs is the parameter that names messages. It is exported because huma reads no fields of an embedded type that is not.
type IDs struct {
	Named []string `query:"id,explode" doc:"Only the one with this id; may be repeated. All of them when absent."`
}

// Resolve is called by huma before the handler. huma reads an empty ?id= as no id, which means all of
// them: a script whose variable is empty would purge everything.
func (in *IDs) Resolve(ctx huma.Context) []error {
	u := ctx.URL()
	in.Named = u.Query()["id"]
	return nil
}

// purgeSearch is the search of a request to purge. It cannot name messages by their ids and by a text at the same time.
func purgeSearch(ctx context.Context, ids IDs, m *Matching, until Until) (medispatcher.Search, error) {
	q := m.search(ctx)
	q.Until = until.Until
	return q, oneWay(ids.Named, q)
}

// oneWay refuses a request that names messages in two ways, and one that has a place to go on from and nothing to search for:
// it would act on all.
func oneWay(ids []string, q medispatcher.Search) error {
	switch {
	case ids != nil && !q.Match.All():
		return problem.Invalid(medispatcher.Problems{{Field: "id", Problem: "name messages by their ids or by a text, not by both"}})
	case q.Match.All() && q.After+q.Until != "":
		return problem.Invalid(medispatcher.Problems{{Field: "q", Problem: "is missing: after and until belong to a search"}})
	}
	return nil
}

// readIDs reads a body {"ids":[…]}, or {"match":"…"}, or an empty one: all. what is what they name.
func readIDs(q *request, what string) (ids []string, search medispatcher.Search, err error) {
	raw, err := q.document()
	if err != nil || len(bytes.TrimSpace(raw)) == 0 {
		return nil, search, err
	}
	var body struct {
		IDs   idList    `json:"ids"`
		Match matchText `json:"match"`
		After string    `json:"after"`
		Until string    `json:"until"`
	}
	if err := decode(raw, &body, `{"ids":["0-1700000000000-0"]}, nor {"match":"text"}, nor empty`); err != nil {
		return nil, search, err
	}
	if body.IDs != nil && len(body.IDs) == 0 {
		return nil, search, problem.Invalid(medispatcher.Problems{{Field: "ids", Problem: "is empty; name " + what + ", or leave ids out to mean all of them"}})
	}
	search.After, search.Until = body.After, body.Until
	if body.Match.text != nil {
		if search.Match, err = medispatcher.ParseMatch(*body.Match.text); err != nil {
			return nil, search, problem.Invalid(medispatcher.Problems{{Field: "match", Problem: err.Error()}})
		}
	}
	return body.IDs, search, oneWay(body.IDs, search)
}

// idsBody is {"ids":[…]} or {"match":"…"}, which may be left out.
func idsBody(example string) *huma.RequestBody {
	return &huma.RequestBody{Content: map[string]*huma.MediaType{"application/json": {
		Schema: &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{
			"ids":   {Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString}},
			"match": {Type: huma.TypeString, Description: "Those that hold this text, as ?q= of the list"},
			"after": {Type: huma.TypeString, Description: "With match: the next of the answer before"},
			"until": {Type: huma.TypeString, Description: "With match: the until of a count; none that arrived after it"},
		}},
		Example: map[string]any{"ids": []string{example}},
	}}}
}

// badID is failed for errors that may concern an id, which the request gave in the parameter field.
func badID(err error, field string) error {
	if f, ok := errors.AsType[medispatcher.FieldError](err); ok {
		return problem.Invalid(medispatcher.Problems{{Field: field, Problem: f.Problem}})
	}
	return failed(err)
}

// gone is badID for one message that may not be there. why adds a reason, list is the path of the messages that are there.
func gone(err error, field, why, list string) error {
	if errors.Is(err, medispatcher.ErrNotFound) {
		return problem.New(http.StatusNotFound, fmt.Sprintf("%v; it was replayed, purged, %s; GET %s%s lists what is there", err, why, Prefix, list))
	}
	return badID(err, field)
}
