package alert

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
)

func TestSplitURLs(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][]string{
		"":                                   nil,
		" , ":                                nil,
		"slack://a/b/c":                      {"slack://a/b/c"},
		"smtp://h/?to=a@x,b@x":               {"smtp://h/?to=a@x,b@x"},
		"smtp://h/?to=a@x,b@x,slack://a/b/c": {"smtp://h/?to=a@x,b@x", "slack://a/b/c"},
		"slack://a/b/c, generic+https://h/?a=1,2  discord://t@i\n": {"slack://a/b/c", "generic+https://h/?a=1,2", "discord://t@i"},
		"slack://a/b/c ,\tntfy://h/t,":                             {"slack://a/b/c", "ntfy://h/t"},
		// A comma before a URL within a URL must be written %2C.
		"generic://h/?u=a%2Chttp://x": {"generic://h/?u=a%2Chttp://x"},
	} {
		if got := SplitURLs(in); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// samples holds a URL of every service, in the forms that the library documents. Every secret holds "hush".
var samples = []string{
	"smtp://user:hushhush@127.0.0.1:1/?from=a@example.com&to=b@example.com",
	"bark://hushhush@127.0.0.1:1",
	"discord://hushhush@123456",
	"generic://127.0.0.1:1/hushhush?disabletls=yes",
	"generic+http://user:hushhush@127.0.0.1:1/hushhush?key=hushhush",
	"generic+https://127.0.0.1:1/hushhush",
	"gotify://127.0.0.1:1/Ahushhushhushhu?disabletls=yes",
	"googlechat://chat.googleapis.com/v1/spaces/hushhush/messages?key=hushhush&token=hushhush",
	"ifttt://hushhush/?events=hushhush&value1=1",
	"lark://open.larksuite.com/hushhush?secret=hushhush",
	"join://shoutrrr:hushhush@join/?devices=hushhush",
	"matrix://:hushhush@127.0.0.1:1/?rooms=!hushhush:h&disableTLS=yes",
	"matrix://user:hushhush@127.0.0.1:1/?rooms=!hushhush:h&disableTLS=yes",
	"mattermost://user@127.0.0.1:1/hushhush/channel?disabletls=yes",
	"notifiarr://hushhush?channel=1234567890",
	"ntfy://user:hushhush@127.0.0.1:1/hushhush?scheme=http",
	"opsgenie://127.0.0.1:1/hushhush",
	"pagerduty://127.0.0.1:1/deadbeefdeadbeefdeadbeefdeadbeef",
	"pushbullet://o.hushhushhushhushhushhushhushhush",
	"pushover://shoutrrr:hushhush@hushhushuser/",
	"rocketchat://user@127.0.0.1:1/hushhush/hushhush/channel",
	"signal://user:hushhush@127.0.0.1:1/+4912345678/+4912345679?disabletls=yes",
	"slack://hook:THUSHHUSH-BHUSHHUSH-hushhushhushhushhushhush@webhook",
	"teams://11111111-4444-4444-8444-cccccccccccc@22222222-4444-4444-8444-cccccccccccc/33333333012222222222333333333344/44444444-4444-4444-8444-cccccccccccc/V2ESyij_gAljSoUQHvZoZYzlpAoAXExyOl26dlf1xHEx05?host=example.webhook.office.com",
	"telegram://123456789:hushhushhushhushhushhushhushhushhus@telegram?chats=@hushhush",
	"wecom://hushhush",
	"zulip://bot%40example.com:hushhush@zulip.example.com?stream=hushhush&topic=hushhush",
}

// TestEveryServiceIsGuardedAndTellsOfFailure: each request of each service goes through network, which refuses
// it here. Each refusal comes back as an error. Neither the error nor the masked URL holds a secret. This test
// fails if a new version of the library does otherwise.
func TestEveryServiceIsGuardedAndTellsOfFailure(t *testing.T) {
	refuse := func(string) error { return errDenied }
	network.refuse.Store(&refuse)
	defer network.refuse.Store(nil)
	schemes := map[string]bool{}
	for _, raw := range samples {
		scheme, _, _ := strings.Cut(raw, ":")
		scheme, _, _ = strings.Cut(scheme, "+")
		schemes[scheme] = true
		if err := CheckURL(raw); err != nil {
			t.Errorf("%s is refused: %v", raw, err)
			continue
		}
		ended := make(chan struct{})
		err := network.send(t.Context(), receivers([]string{raw})[0], "1", "title", "title\n\ntext\n", func() { close(ended) })
		<-ended
		switch {
		case err == nil:
			t.Errorf("%s: a failure is not told", raw)
		case !strings.Contains(err.Error(), "denied address") && scheme != "zulip": // whose library panics then
			t.Errorf("%s: passes the guard: %v", raw, err)
		case showsSecret(err.Error()):
			t.Errorf("%s: a secret is shown: %v", raw, err)
		}
		if shown := medispatcher.MaskAlertURL(raw); showsSecret(shown) || !strings.HasPrefix(shown, scheme) {
			t.Errorf("%s is shown as %s", raw, shown)
		}
	}
	_, err := service(mustParse("nothing://"))
	for scheme := range strings.SplitSeq(strings.TrimPrefix(err.Error(), "has an unknown scheme; there are "), ", ") {
		if !schemes[scheme] && scheme != "hangouts" { // another name of googlechat
			t.Errorf("there is no sample of %s", scheme)
		}
	}
}

func showsSecret(text string) bool {
	text = strings.ToLower(text)
	return strings.Contains(text, "hush") || strings.Contains(text, "deadbeef") || strings.Contains(text, "v2esyij")
}

// TestDeniedAddresses: a name that resolves to a denied address is refused like the address.
func TestDeniedAddresses(t *testing.T) {
	network.Deny(func(a netip.Addr) bool { return a.Unmap().IsLoopback() })
	defer network.Deny(func(netip.Addr) bool { return false })
	for _, raw := range []string{"generic+http://localhost:1/x", "generic+http://127.0.0.1:1/x", "smtp://localhost:1/?from=a@x&to=b@x", "ntfy://[::1]:1/x?scheme=http"} {
		if err := sendTo(t, network, raw, "x"); err == nil || !strings.Contains(err.Error(), "denied address") {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

func TestCheckURL(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"":                                         "is not a URL",
		"hushhush":                                 "is not a URL",
		"smtp://u:hush%hush@h/":                    "is not a URL",
		"https://h/hushhush":                       "write generic+https://…",
		"slak://hushhush":                          "unknown scheme; there are bark, discord, generic",
		"generic+https://***":                      "has asterisks where a secret was hidden",
		"smtp://u:********@h/?from=a@b&to=c@d":     "has asterisks where a secret was hidden",
		"logger://hushhush":                        "sends nothing",
		"slack://hushhush":                         "invalid",
		"smtp://u:hushhush@h/":                     "from",
		"smtp://u:hushhush@h/?from=a@b":            "to",
		"telegram://hushhush@telegram":             "token",
		"slack+https://hushhush":                   "has +https after the scheme",
		"matrix://h?rooms=a&nope=hushhush":         "nope",
		"generic://" + strings.Repeat("hush", 600): "longer than 2048 bytes",
	} {
		err := CheckURL(raw)
		if err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(want)) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v, want %s", raw, err, want)
		}
	}
}

func TestPeopleAreReceivers(t *testing.T) {
	t.Parallel()
	list := receivers([]string{
		"smtp://h/?from=a@x&to=b@x,c@x&subject=x,y", "smtp://h/?from=a@x&to=b@x&subject=x,y",
		"telegram://123456789:hushhushhushhushhushhushhushhushhus@telegram?channels=@a,@b", "slack://a,b",
	})
	var to []string
	for _, r := range list {
		q := mustParse(r.url).Query()
		to = append(to, q.Get("to")+q.Get("channels"))
	}
	if got := strings.Join(to, " "); got != "b@x c@x @a @b " {
		t.Errorf("to %q", got)
	}
	if list[0].name == list[1].name || list[0].name != receivers([]string{list[0].url})[0].name {
		t.Errorf("names %v", list)
	}
	many := "smtp://h/?from=a@x&to=" + strings.Repeat("a@x,", 200) + "b@x"
	if n := len(receivers([]string{many})); n > maxReceivers {
		t.Errorf("%d receivers", n)
	}
}

func TestSafe(t *testing.T) {
	t.Parallel()
	const raw = "generic+https://user:p%2Fw@h.example:8443/a/verysecret?token=other%20secret&method=POST"
	for in, want := range map[string]string{
		`Post "https://user:p%2Fw@h.example:8443/a/verysecret?token=x": dial tcp 1.2.3.4:8443: connection refused`: `Post "https://h.example:8443/********": dial tcp 1.2.3.4:8443: connection refused`,
		"server says verysecret and other secret and other+secret and p/w, method POST":                            "server says ******** and ******** and ******** and ********, method POST",
		"slack://token/x\r\nand more": "********  and more",
		" ":                           "it failed without a reason",
	} {
		if got := safe(errors.New(in), raw).Error(); got != want {
			t.Errorf("%q\n got  %q\n want %q", in, got, want)
		}
	}
	if long := safe(errors.New(strings.Repeat("x", 5000)), raw).Error(); len(long) > maxReason+len("…") {
		t.Errorf("%d bytes", len(long))
	}
	if safe(nil, raw) != nil {
		t.Error("an error of none")
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	var sum time.Duration
	for n := 1; n < maxTries; n++ {
		sum += backoff(n)
	}
	if backoff(1) != 5*time.Second || backoff(100) != 2*time.Minute || sum < 5*time.Minute || sum > 15*time.Minute {
		t.Errorf("%s in all", sum)
	}
}
