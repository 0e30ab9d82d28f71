package api

import (
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/solate/medispatcher/cmd/medispatcher/panel/problem"
)

// errorAnswer is what the document says of a status, with a detail as an example.
type errorAnswer struct{ description, detail string }

// errorAnswers has the status as its key, or status and operation where the operation gives it another meaning.
var errorAnswers = map[string]errorAnswer{
	"400": {"The body ended too early; nothing was done", "the body ended too early: unexpected EOF; repeat the request"},
	"401": {"No token, or a wrong one", "a token is needed: send the header Authorization: Bearer TOKEN, with a token of this dispatcher (MEDIS_TOKENS or MEDIS_ADMIN_TOKEN)"},
	"403": {"The role of the token does not allow this, or a browser sent it from a page of another site", "this needs a token with the role operator; the token ann has the role reader"},
	"404": {"Nothing has this id", `subscription "billing": not found; GET /api/v1/subscriptions lists the existing ones`},
	"408": {"The body arrived too slowly; nothing was done", "the body arrived too slowly; repeat the request"},
	"409": {"Somebody else changed it at the same time; nothing was written", `subscription "billing" is being changed by others all the time: conflict; repeat the request`},
	"412": {"Its revision is not that of If-Match: somebody has changed it. Read it again and repeat the change. Or it is one of If-None-Match", `subscription "billing": it has changed since it was read; read it again and repeat the change`},
	"413": {"The body is over the limit; nothing was done", "the body is larger than 1048576 bytes, the limit that MEDIS_MAX_BODY sets"},
	"415": {"The body has a Content-Encoding; nothing was done", `the body has the Content-Encoding "gzip", which subscribers would not be told of; send it plain`},
	"422": {"The request is wrong; errors lists each field as location, and what it should be", "concurrency: must be at most 1500"},
	"429": {"Too many wrong tokens from this address; the right token is always accepted", "too many wrong tokens came from this address; send a right one, or wait"},
	"500": {"A bug in medispatcher, not in the request; its log says more", problem.Internal().Detail},
	"503": {"Redis does not answer, or refuses", "Redis does not answer, or refuses: dial tcp 10.0.0.5:6379: connect: connection refused; repeat the request"},

	"404 get-message":         {"Nothing is known of this message", `nothing is known of message "order-42-created": every subscription has it, it was purged, or it never existed; MEDIS_HISTORY keeps what happens to messages`},
	"404 get-dead-letter":     {"There is no such dead letter: it was replayed, purged, or was never there", `dead letter 0-1767225600000-0 of "billing": not found; it was replayed, purged, or was never there; GET /api/v1/subscriptions/billing/dead lists what is there`},
	"409 delete-subscription": {"It holds messages or dead letters, and the request has no ?purge=true", `subscription "billing" holds messages (3 READY), so it is not removed; wait until they are settled, or repeat with ?purge=true to discard them`},
	"409 test-alert":          {"There are no receivers to test", "there are no receivers: set MEDIS_ALERT_URLS, or alert.urls of the subscription"},
	"500 get-subscription":    {"Somebody edited its stored document by hand, and it is unusable", `the stored document of subscription "billing" is unusable, PUT it again: concurrency: must be a number`},
	"503 get-readiness":       {"Redis is away, or the dispatcher is stopping", "not ready: it is stopping"},
}

// describeErrors describes each status of an operation: huma knows only their names.
func describeErrors(op *huma.Operation) {
	delete(op.Responses, "default") // huma adds it to an operation without errors
	for status, r := range op.Responses {
		// OpenAPI ignores a header of this name: the media types say it.
		delete(r.Headers, "Content-Type")
		code, err := strconv.Atoi(status)
		if err != nil || code < http.StatusBadRequest {
			continue
		}
		says, own := errorAnswers[status+" "+op.OperationID]
		if !own {
			says = errorAnswers[status]
		}
		r.Description = says.description
		for _, c := range r.Content {
			p := problem.New(code, says.detail)
			if code == http.StatusUnprocessableEntity {
				p.Errors = []*huma.ErrorDetail{{Location: "concurrency", Message: "must be at most 1500"}}
			}
			c.Example = p
		}
		header := map[int]string{http.StatusUnauthorized: "WWW-Authenticate", http.StatusTooManyRequests: "Retry-After", http.StatusServiceUnavailable: "Retry-After"}[code]
		if header == "" || op.OperationID == "get-readiness" {
			continue
		}
		h := &huma.Param{Schema: &huma.Schema{Type: huma.TypeString}, Description: "The scheme to use: Bearer"}
		if header == "Retry-After" {
			h = &huma.Param{Schema: &huma.Schema{Type: huma.TypeInteger}, Description: "Seconds after which to repeat the request"}
		}
		r.Headers = map[string]*huma.Param{header: h}
	}
}
