package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// keptTopicsLooked is how many of the newest kept messages are read to count their topics.
const keptTopicsLooked = 2000

// examineKept reports messages that reached no channel: how many, since when, and their reason or topics.
func (d *exam) examineKept(ctx context.Context) error {
	n, since, err := d.store.KeptSince(ctx, medispatcher.PlaceQuarantine)
	if err != nil {
		return err
	}
	if n > 0 {
		list, err := d.store.ListKept(ctx, medispatcher.PlaceQuarantine, medispatcher.KeptQuery{Newest: true, Limit: 1})
		if err != nil {
			return err
		}
		seen := fmt.Sprintf("%s could not be decoded or copied, the oldest since %s", entries(n), sinceText(since))
		if len(list) > 0 {
			seen += "; the newest: " + list[0].Reason
		}
		d.add(AreaMessages, "quarantine", LevelWarning, seen,
			"see medispatcher quarantine ls --newest and tell the producers; then medispatcher quarantine replay, and purge what still cannot be decoded")
	} else {
		d.ok(AreaMessages, "quarantine", "empty: every entry could be decoded")
	}
	if n, since, err = d.store.KeptSince(ctx, medispatcher.PlaceUnrouted); err != nil {
		return err
	}
	if n == 0 {
		d.ok(AreaMessages, "unrouted", "none: every message had a subscription")
		return nil
	}
	topics, looked, err := d.store.KeptTopics(ctx, medispatcher.PlaceUnrouted, keptTopicsLooked)
	if err != nil {
		return err
	}
	f := Finding{
		Area: AreaMessages, Check: "unrouted", Level: LevelWarning, Partial: int64(looked) < n,
		Seen: fmt.Sprintf("no subscription wanted %s, the oldest kept since %s: %s", count(n, "message"), sinceText(since), d.nameTopics(topics)),
		Do:   "correct the topic at the producer, or put the missing subscription; then medispatcher unrouted replay, or unrouted purge",
	}
	if f.Partial {
		f.Seen += fmt.Sprintf("; only the newest %d were examined", looked)
	}
	d.x.Findings = append(d.x.Findings, f)
	return nil
}

func sinceText(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// nameTopics lists the most frequent topics, and whether a subscription wants each of them now.
func (d *exam) nameTopics(topics []medispatcher.TopicCount) string {
	var names []string
	for _, t := range topics[:min(len(topics), rdb.MostNamed)] {
		about := fmt.Sprint(t.Count)
		if wanted := len(d.router.Route(t.Topic)); wanted > 0 {
			about += ", now wanted"
		} else if near := d.router.Nearest(t.Topic); near != "" {
			about += ", did you mean " + near + "?"
		}
		names = append(names, fmt.Sprintf("%s (%s)", t.Topic, about))
	}
	if more := len(topics) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}
