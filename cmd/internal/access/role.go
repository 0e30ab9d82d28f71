// Package access says who may do what: the roles, and the tokens that stand for a name and a role. It imports
// the standard library alone.
package access

import "slices"

// Role is what a token is good for.
type Role string

// The roles. Each route names the least one that may use it.
const (
	Admin     Role = "admin"     // changes subscriptions, and all that the others do
	Operator  Role = "operator"  // changes messages, sees their bodies, pauses and resumes subscriptions; publishes
	Publisher Role = "publisher" // publishes, and does nothing else
	Reader    Role = "reader"    // sees everything but bodies and secrets
	Metrics   Role = "metrics"   // reads /metrics

	// Anybody is what a route needs that every token may use. No token has this role.
	Anybody Role = "anybody"
)

// Roles are the roles that a token may have, the mightiest first.
var Roles = []Role{Admin, Operator, Publisher, Reader, Metrics}

// includes are the other roles whose routes a role may use.
var includes = map[Role][]Role{
	Admin:     {Operator, Publisher, Reader, Metrics},
	Operator:  {Publisher, Reader, Metrics},
	Publisher: nil,
	Reader:    {Metrics},
	Metrics:   nil,
}

// May reports whether a role may use a route that needs another one. The empty role may use none.
func (r Role) May(needs Role) bool {
	if !slices.Contains(Roles, r) {
		return false
	}
	return needs == Anybody || r == needs || slices.Contains(includes[r], needs)
}
