package web

import (
	"net/http"

	"github.com/solate/medispatcher"
)

type deadData struct {
	Rows  []medispatcher.ChannelStatus
	Total int64
	More  int
}

// deadListed is how many subscriptions with dead letters are listed here. The list of subscriptions
// has all of them.
const deadListed = 200

func (p *pages) dead(w http.ResponseWriter, r *http.Request) error {
	st, err := p.state.get(r.Context())
	if err != nil {
		return err
	}
	var d deadData
	for _, c := range st.Subscriptions {
		if c.Dead == 0 {
			continue
		}
		d.Total += c.Dead
		if len(d.Rows) == deadListed {
			d.More++
			continue
		}
		d.Rows = append(d.Rows, c)
	}
	return p.show(w, r, http.StatusOK, "dead", "Dead letters", d)
}
