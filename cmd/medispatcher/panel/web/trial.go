package web

import (
	"net/http"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

type trialData struct {
	ID, Topic, Asked, Body string
	Paused                 bool
}

// trial is the form that pushes a test message. The script sends it, and shows what came back.
func (p *pages) trial(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if err := medispatcher.CheckSubscriptionID(id); err != nil {
		return err
	}
	sub, _, err := p.registry.Get(r.Context(), id)
	if err != nil {
		return err
	}
	return p.show(w, r, http.StatusOK, "trial", "Test "+id, trialData{
		ID: id, Topic: operate.TrialTopic(&sub), Asked: sub.Topic, Body: operate.TrialBody, Paused: sub.Paused,
	})
}
