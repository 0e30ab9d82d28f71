package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/streams/streamstest"
)

var pushShare = regexp.MustCompile(`medispatcher_share\{kind="push",subscription="s"\} (\d+)`)

// share is how many pushes of s a dispatcher may have in flight, as it says itself.
func (r *running) share() int {
	_, text := r.call(http.MethodGet, "/metrics", "")
	m := pushShare.FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// TestSharesFollow: the shares of a subscription follow the dispatchers that run, and all can see them.
func TestSharesFollow(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		redis := "MEDIS_REDIS_URL=" + env.URL
		var all []*running
		start := func() {
			all = append(all, startServe(t, []string{redis, "MEDIS_HEARTBEAT=10s", "MEDIS_DEAD_AFTER=30s"}, "serve")) // no heartbeat tells them in time
		}
		shares := func(want ...int) {
			t.Helper()
			eventually(t, fmt.Sprintf("the shares are %d", want), func() bool {
				var have []int
				for _, r := range all {
					have = append(have, r.share())
				}
				slices.Sort(have)
				return slices.Equal(have, want)
			})
		}
		start()
		all[0].put("s", `{"topic":"t","urls":["http://127.0.0.1:1/"],"scope":"cluster","concurrency":4,"retry_concurrency":1}`)
		shares(4)
		start()
		shares(2, 2)
		start()
		shares(1, 1, 2)

		_, text := all[0].call(http.MethodGet, "/api/v1/status", "")
		var st medispatcher.Status
		if err := json.Unmarshal([]byte(text), &st); err != nil || len(st.Subscriptions) != 1 {
			t.Fatalf("%v: %s", err, text)
		}
		pushes, retries := 0, 0
		for _, s := range st.Subscriptions[0].Shares {
			pushes, retries = pushes+s.Pushes, retries+s.Retries
		}
		if pushes != 4 || retries != 1 || len(st.Subscriptions[0].Shares) != 3 {
			t.Errorf("shares %+v", st.Subscriptions[0].Shares)
		}
		code, out, _ := runWith(t, strings.NewReader(""), []string{redis}, "status")
		if code != cli.ExitOK {
			t.Errorf("status: %d", code)
		}
		contains(t, out, "SHARE OF", "PUSHES  RETRIES", st.Subscriptions[0].Shares[2].Dispatcher)

		if code := all[0].stop(); code != cli.ExitOK {
			t.Errorf("exit code %d", code)
		}
		all = all[1:]
		shares(2, 2)
		all[0].put("s", `{"topic":"t","urls":["http://127.0.0.1:1/"],"scope":"cluster","concurrency":4,"interval":"1s"}`)
		shares(0, 4)
		all[0].put("s", `{"topic":"t","urls":["http://127.0.0.1:1/"],"concurrency":4}`)
		shares(0, 0) // there are none
		code, out, _ = runWith(t, strings.NewReader(""), []string{redis}, "status")
		if code != cli.ExitOK || strings.Contains(out, "SHARE OF") {
			t.Errorf("status: %d\n%s", code, out)
		}
	})
}
