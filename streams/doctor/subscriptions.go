package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// examineSubscriptions reads every stored document, a page at a time, and checks it as a dispatcher does.
func (d *exam) examineSubscriptions(ctx context.Context) error {
	var usable []medispatcher.Subscription
	var broken, cut []string
	for cursor := "0"; ; {
		page, err := rdb.Scan(d.db.With(ctx), "HSCAN", d.keys.Subscriptions(), cursor, "COUNT", doctorPage).Result()
		if err != nil {
			return rdb.Failed("read subscriptions", err)
		}
		for pair := range slices.Chunk(page.Items, 2) {
			if len(pair) < 2 || d.subs[pair[0]] {
				continue // a scan may show a field twice
			}
			id := pair[0]
			d.subs[id] = true
			sub, warnings, err := d.o.Rules.Load(id, []byte(pair[1]))
			if err != nil {
				broken = append(broken, id+" ("+medispatcher.OneLine(err)+")")
				continue
			}
			if len(warnings) > 0 {
				cut = append(cut, id+" ("+strings.Join(warnings, "; ")+")")
			}
			if d.x.Slowest.ID == "" || sub.Timeout > d.x.Slowest.Timeout {
				d.x.Slowest = *sub
			}
			d.x.AtOnce += sub.AtOnce()
			usable = append(usable, *sub)
		}
		if cursor = page.Next; cursor == "0" {
			break
		}
	}
	d.known = true
	if len(broken) > 0 {
		d.add(AreaSubscriptions, "documents", LevelProblem, "unusable, a dispatcher that starts ignores them: "+rdb.Some(broken),
			"put them again: medispatcher sub put ID …; until then, no new messages are kept for them")
	} else {
		d.ok(AreaSubscriptions, "documents", count(len(d.subs), "subscription")+", all usable")
	}
	if len(cut) > 0 {
		d.add(AreaSubscriptions, "maximums", LevelWarning, rdb.Some(cut), "raise the MEDIS_MAX_… variable, or medispatcher sub set ID …")
	}
	d.router = medispatcher.NewRouter(usable)
	if err := d.examineRevision(ctx); err != nil {
		return err
	}
	d.judgeTwins(usable)
	d.judgeEnvironments(usable)
	return nil
}

// examineRevision: dispatchers of this version accept any value that somebody wrote by hand. Earlier
// versions need a number, and fan nothing out without one.
func (d *exam) examineRevision(ctx context.Context) error {
	text, n, err := d.store.Revision(ctx)
	if err != nil {
		return err
	}
	if text != "" && text != "0" && n == 0 {
		d.add(AreaSubscriptions, "revision", LevelWarning, fmt.Sprintf("%s holds %.40q, which is not a revision: dispatchers of earlier versions fan nothing out", d.keys.Revision(), text),
			"change any subscription, for example with medispatcher sub set ID …: that writes it again")
	}
	return nil
}

// judgeTwins finds subscriptions that send the same topic to the same URL. Usually the second one
// was meant to replace the first.
func (d *exam) judgeTwins(subs []medispatcher.Subscription) {
	type target struct{ topic, url string }
	sharing := map[target][]string{}
	for _, s := range subs {
		if s.Paused {
			continue
		}
		for _, u := range slices.Compact(slices.Sorted(slices.Values(s.URLs))) {
			k := target{s.Topic, u}
			sharing[k] = append(sharing[k], s.ID)
		}
	}
	var twins []string
	for k, ids := range sharing {
		if len(ids) > 1 {
			_, raw := medispatcher.SplitURL(k.url)
			twins = append(twins, fmt.Sprintf("%s to %s (%s)", k.topic, medispatcher.Redact(raw), rdb.Some(ids)))
		}
	}
	if len(twins) > 0 {
		d.add(AreaSubscriptions, "same target", LevelWarning, "the same topic goes to the same URL more than once: "+rdb.Some(twins),
			"if that is not intended, pause or remove one: medispatcher sub rm ID")
	}
}

// judgeEnvironments finds subscriptions without a URL for the environment of a running dispatcher,
// which drops their messages.
func (d *exam) judgeEnvironments(subs []medispatcher.Subscription) {
	var lacking []string
	for _, s := range subs {
		tags := map[string]bool{}
		for _, u := range s.URLs {
			tag, _ := medispatcher.SplitURL(u)
			tags[tag] = true
		}
		if tags[""] || s.Paused {
			continue
		}
		for _, p := range d.people {
			if p.Alive && !tags[p.Env] {
				lacking = append(lacking, fmt.Sprintf("%s (%s, MEDIS_ENV=%q)", s.ID, p.ID, p.Env))
				break
			}
		}
	}
	if len(lacking) > 0 {
		d.add(AreaSubscriptions, "environments", LevelWarning, "no URL for the environment of a running dispatcher, which drops their messages: "+rdb.Some(lacking),
			"add a URL without a tag or with that environment, or run that dispatcher on another Redis or prefix")
	}
}
