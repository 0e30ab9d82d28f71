package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/solate/medispatcher"
)

// examineArchive reports what the archive holds, dispatchers that do not keep it alike, and replays that nobody goes on with.
func (d *exam) examineArchive(ctx context.Context) error {
	kept := map[time.Duration]string{}
	for i := range d.people {
		if p := &d.people[i]; p.Alive {
			kept[p.Retention] = p.ID
		}
	}
	if len(kept) > 1 {
		var list []string
		for _, r := range slices.Sorted(maps.Keys(kept)) {
			list = append(list, fmt.Sprintf("%s in %s", medispatcher.ShortDuration(r), kept[r]))
		}
		d.add(AreaMessages, "archive", LevelWarning, "dispatchers disagree about MEDIS_RETENTION: "+strings.Join(list, ", "),
			"set it alike: what a dispatcher with 0s fans out is not in the archive")
	}
	span, err := d.store.ArchiveSpan(ctx)
	if err != nil {
		return err
	}
	if span.Messages > 0 {
		d.ok(AreaMessages, "archive", fmt.Sprintf("%s since %s", count(span.Messages, "message"), sinceText(span.Oldest)))
	}
	replays, err := d.store.Replays(ctx)
	if err != nil {
		return err
	}
	for _, r := range replays {
		if !r.Background {
			d.add(AreaMessages, "replay", LevelWarning, fmt.Sprintf("a replay to %q since %s, begun by %s at %s, is not finished", r.Subscription, r.Asked.Since, r.By, sinceText(r.Started)),
				fmt.Sprintf("if nobody carries it out, repeat the command, or run medispatcher replay %s --stop", r.Subscription))
		}
	}
	return nil
}
