package daemon

import (
	"strings"

	"github.com/solate/medispatcher/alert"
	"github.com/solate/medispatcher/cmd/medispatcher/daemon/gather"
	"github.com/solate/medispatcher/push"
)

// fewFailures is how many failed attempts have a line of their own in a period: one of a few subscriptions that fail has.
const fewFailures = 100

// gathered are the lines that come for each subscription or message, so that a host that is down would fill the log. A line that is the only trace of
// something, such as a message that is dropped, is not among them.
var gathered = []gather.Kind{
	{Line: push.LineOpened, Many: "breakers opened: the workers fail every message; probes go out now and then", By: "target", First: "subscription"},
	{Line: push.LineClosed, Many: "breakers closed: the workers are back", By: "target", First: "subscription"},
	{Line: push.LineProxyFails, Many: "breakers opened: the push proxy (MEDIS_PUSH_PROXY) lets no message through; probes go out now and then", By: "target", First: "subscription"},
	{Line: push.LineProxyBack, Many: "breakers closed: the push proxy lets messages through again", By: "target", First: "subscription"},
	{Line: push.LineFailed, Many: "pushes failed", Few: fewFailures, By: "target", Group: originOf, First: "subscription"},
	{Line: push.LineDead, Many: "messages are dead: no attempts are left", By: "target", Group: originOf, First: "id"},
	{Line: push.LineUnreadable, Many: "channels cannot be read", First: "subscription"},
	{Line: alert.LineNoReceivers, Many: "alerts have no receivers; set MEDIS_ALERT_URLS, or alert.urls of the subscriptions", By: "rule", First: "subscription"},
	{Line: alert.LineSent, Many: "alerts sent", By: "rule", First: "subscription"},
	{Line: alert.LineUnsent, Many: "alerts not sent yet", By: "rule", First: "subscription"},
}

// originOf is a URL up to its path.
func originOf(target string) string {
	if scheme, rest, ok := strings.Cut(target, "://"); ok {
		if at := strings.IndexAny(rest, "/?"); at >= 0 {
			rest = rest[:at]
		}
		return scheme + "://" + rest
	}
	return target
}
