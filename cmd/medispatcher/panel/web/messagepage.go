package web

import (
	"fmt"
	"net/http"

	"github.com/solate/medispatcher"
)

// placesShown bounds the places of a message that are shown: a topic may have thousands of subscriptions.
const placesShown = 200

type storyData struct {
	medispatcher.Story
	More int // places that are not shown
}

// messagePage shows where a message is, and what happened to it.
func (p *pages) messagePage(w http.ResponseWriter, r *http.Request) error {
	ctx, id := r.Context(), r.PathValue("id")
	subs, _, err := p.registry.Subscriptions(ctx)
	if err != nil {
		return err
	}
	story, err := p.store.Story(ctx, id, subs.IDs())
	if err != nil {
		return err
	}
	status := http.StatusOK
	if len(story.Places)+len(story.Events) == 0 {
		status = http.StatusNotFound
	}
	d := storyData{Story: story, More: max(0, len(story.Places)-placesShown)}
	d.Places = d.Places[:len(d.Places)-d.More]
	return p.show(w, r, status, "messagepage", fmt.Sprintf("Message %s", shortText(id)), d)
}

// placeLink is the page of what is at a place, empty where there is none.
func placeLink(pl medispatcher.Place) string {
	switch pl.State {
	case medispatcher.Dead:
		return fmt.Sprintf("%s/%d-%s", deadLink(pl.Subscription), pl.Partition, pl.Entry)
	case medispatcher.Unrouted:
		return keptLink(medispatcher.PlaceUnrouted) + "/" + pl.Kept
	case medispatcher.Quarantined:
		return keptLink(medispatcher.PlaceQuarantine) + "/" + pl.Kept
	case medispatcher.Ready, medispatcher.Buried, medispatcher.Deleted, medispatcher.Incoming, medispatcher.Delayed, medispatcher.Archived:
	}
	return ""
}
