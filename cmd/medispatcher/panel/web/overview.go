package web

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/solate/medispatcher"
)

const (
	// waitingLong is the age at which a message in a channel is reported.
	waitingLong = time.Minute
	// attentionShown is how many subscriptions the overview names.
	attentionShown = 8
)

type totals struct {
	Subscriptions, Paused, Held int
	Ready, Buried, Retrying     int64
	Dead                        int64
	OldestMS                    int64
}

type overviewData struct {
	medispatcher.Status
	Sums      medispatcher.StatsSums
	Totals    totals
	Findings  []finding
	Attention []medispatcher.ChannelStatus
	More      int // that need attention and are not shown
	Now       time.Time
}

func (p *pages) overview(w http.ResponseWriter, r *http.Request) error {
	st, err := p.state.get(r.Context())
	if err != nil {
		return err
	}
	stats, err := p.store.Stats(r.Context(), nil, nil)
	if err != nil {
		return err
	}
	d := overviewData{Status: st, Sums: stats.Sums, Totals: sum(st.Subscriptions), Now: time.Now()}
	firing, err := p.firingFinding(r.Context())
	if err != nil {
		return err
	}
	d.Findings = worstFirst(append(p.findings(&d), firing...))
	for _, c := range st.Subscriptions {
		if c.State == medispatcher.BreakerOpen || c.Retrying > 0 || c.Dead > 0 || late(&c) {
			d.Attention = append(d.Attention, c)
		}
	}
	slices.SortStableFunc(d.Attention, func(x, y medispatcher.ChannelStatus) int { return cmp.Compare(urgency(&y), urgency(&x)) })
	d.More = max(0, len(d.Attention)-attentionShown)
	d.Attention = d.Attention[:len(d.Attention)-d.More]
	return p.show(w, r, http.StatusOK, "overview", "Overview", d)
}

func sum(list []medispatcher.ChannelStatus) totals {
	t := totals{Subscriptions: len(list)}
	for _, c := range list {
		switch c.State {
		case medispatcher.Paused:
			t.Paused++
		case medispatcher.BreakerOpen:
			t.Held++
		}
		t.Ready, t.Buried, t.Retrying, t.Dead = t.Ready+c.Ready, t.Buried+c.Buried, t.Retrying+c.Retrying, t.Dead+c.Dead
		t.OldestMS = max(t.OldestMS, c.OldestMS)
	}
	return t
}

// late reports whether messages wait too long for a subscription that is not paused.
func late(c *medispatcher.ChannelStatus) bool {
	return c.State != medispatcher.Paused && c.Ready > 0 && c.OldestMS > waitingLong.Milliseconds()
}

// urgency orders subscriptions that need attention: those with an open breaker, with dead letters,
// with retries, with waiting messages.
func urgency(c *medispatcher.ChannelStatus) int64 {
	const much = 1 << 50
	switch {
	case c.State == medispatcher.BreakerOpen:
		return 3*much + c.Ready + c.Buried
	case c.Dead > 0:
		return 2*much + c.Dead
	case c.Retrying > 0:
		return much + c.Retrying
	}
	return c.Ready
}
