package web

import "github.com/solate/medispatcher/cmd/internal/access"

// Needs are the patterns of all pages, with the role that each needs; "open" is none.
func Needs() map[string]access.Role {
	needs := map[string]access.Role{}
	for pattern, r := range (&pages{}).routes() {
		needs[pattern] = r.needs
	}
	return needs
}
