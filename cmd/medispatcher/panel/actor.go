package panel

import (
	"net"
	"net/http"

	"github.com/solate/medispatcher"
)

// nameActor notes who sent a request, for the history of changes.
func nameActor(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			host = r.RemoteAddr
		}
		next.ServeHTTP(w, r.WithContext(medispatcher.WithActor(r.Context(), "api "+host)))
	})
}
