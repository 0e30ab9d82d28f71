// Package auth decides who may use the panel and the API: by a token, or by a browser session made from one. It slows down
// guessing.
package auth

import (
	"context"
	"fmt"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/access"
)

// The ways by which a visitor comes.
const (
	ByAPI   = "api"
	ByPanel = "panel"
)

// Visitor is who sent a request.
type Visitor struct {
	Name string // of the token; empty where none is needed
	Role access.Role
	By   string // ByAPI, or ByPanel with a session
	From string // the address
}

type visitorKey struct{}

// With notes the visitor in the context of a request, for roles, the history and the audit trail.
func With(ctx context.Context, v Visitor) context.Context {
	return medispatcher.WithActor(context.WithValue(ctx, visitorKey{}, v), v.String())
}

// From is the visitor of a request. Without one it has no role, and so may do nothing.
func From(ctx context.Context) Visitor {
	v, _ := ctx.Value(visitorKey{}).(Visitor)
	return v
}

// String is the visitor in the history of changes: "api ann", "panel ann", or where there are no names "api 10.0.0.7".
func (v Visitor) String() string {
	if v.Name == "" {
		return v.By + " " + v.From
	}
	return v.By + " " + v.Name
}

// May reports whether the visitor may use what needs a role.
func (v Visitor) May(needs access.Role) bool { return v.Role.May(needs) }

// Lacks says why the visitor may not use what needs a role.
func (v Visitor) Lacks(needs access.Role) string {
	return fmt.Sprintf("this needs a token with the role %s; the token %s has the role %s", needs, v.Name, v.Role)
}
