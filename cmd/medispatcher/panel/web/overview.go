package web

import (
	"net/http"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

// attentionShown is how many subscriptions the overview names.
const attentionShown = 8

type totals struct {
	medispatcher.StatusTotals
	Paused, Held int // subscriptions
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
	d := overviewData{Status: st, Sums: stats.Sums, Totals: sum(&st), Now: time.Now()}
	firing, err := p.firingFinding(r.Context())
	if err != nil {
		return err
	}
	d.Findings = worstFirst(append(p.findings(&d), firing...))
	d.Attention = operate.Attention(st.Subscriptions)
	d.More = max(0, len(d.Attention)-attentionShown)
	d.Attention = d.Attention[:len(d.Attention)-d.More]
	return p.show(w, r, http.StatusOK, "overview", "Overview", d)
}

func sum(st *medispatcher.Status) totals {
	t := totals{StatusTotals: st.Totals}
	for i := range st.Subscriptions {
		switch st.Subscriptions[i].State {
		case medispatcher.Paused:
			t.Paused++
		case medispatcher.BreakerOpen:
			t.Held++
		}
	}
	return t
}
