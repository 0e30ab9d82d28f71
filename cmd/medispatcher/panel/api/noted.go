package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/auth"
)

// unnoted are the operations that are no deeds of their own: the history of subscriptions, which the audit trail shows, notes
// them in the step that makes the change, or they change nothing.
var unnoted = map[string]bool{
	"try-filter":       true,
	"put-subscription": true, "put-subscriptions": true, "patch-subscription": true, "delete-subscription": true, "pause-subscription": true, "resume-subscription": true,
	"patch-subscriptions": true, "pause-subscriptions": true, "resume-subscriptions": true,
}

type deedKey struct{}

// beginDeed is middleware. It begins the deed of a request that noted ends.
func beginDeed(ctx huma.Context, next func(huma.Context)) {
	v, op := auth.From(ctx.Context()), ctx.Operation()
	d := &medispatcher.Deed{By: v.String(), What: op.OperationID, Subscription: ctx.Query("subscription")}
	if v.Name != "" { // else By says it
		d.From = v.From
	}
	if strings.HasPrefix(op.Path, Prefix+"/subscriptions/{id}") {
		d.Subscription = cmp.Or(ctx.Param("id"), d.Subscription)
	}
	next(huma.WithValue(ctx, deedKey{}, d))
}

// deedOf is the deed of a request, for more that the handler knows of it.
func deedOf(ctx context.Context) *medispatcher.Deed {
	if d, begun := ctx.Value(deedKey{}).(*medispatcher.Deed); begun {
		return d
	}
	return &medispatcher.Deed{}
}

// noted is a handler that notes in the audit trail what it did. A request that was refused did nothing.
func noted[I, O any](a *api, handle func(context.Context, *I) (*O, error)) func(context.Context, *I) (*O, error) {
	return func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		d := deedOf(ctx)
		if refused, is := errors.AsType[huma.StatusError](err); is && refused.GetStatus() < http.StatusInternalServerError {
			return out, err
		}
		if err != nil {
			d.Error = err.Error()
		} else {
			d.Counts = countsOf(out)
		}
		if d.What != "" { // else it changed nothing
			operate.Note(ctx, a.Store, *d, a.Log)
		}
		return out, err
	}
}

// countsOf are the numbers in the body of an answer.
func countsOf(out any) map[string]int64 {
	v := reflect.Indirect(reflect.ValueOf(out))
	if v.Kind() != reflect.Struct || !v.FieldByName("Body").IsValid() {
		return nil
	}
	raw, err := json.Marshal(v.FieldByName("Body").Interface())
	if err != nil {
		return nil // the answer fails as well
	}
	var fields map[string]any
	if json.Unmarshal(raw, &fields) != nil {
		return nil
	}
	counts := map[string]int64{}
	for name, value := range fields {
		if n, is := value.(float64); is && n != 0 {
			counts[name] = int64(n)
		}
	}
	return counts
}
