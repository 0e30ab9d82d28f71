package streams

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/entry"
)

// planKept decides where a kept message goes. If it must stay, refusal says why and what to do.
func (s *Store) planKept(ctx context.Context, place medispatcher.KeptPlace, r *keptRow, rules KeptRules) (m keptMove, refusal string, err error) {
	m = keptMove{row: r, own: true}
	if place == medispatcher.PlaceUnrouted {
		m.unwanted = !rules.Wanted(r.fields["topic"])
		return m, undecodable(r.fields, r, rules.MaxBody), nil
	}
	if sub, isCopy := s.copyFailedOf(r); isCopy {
		if !rules.Exists(sub) {
			return m, fmt.Sprintf("it is a copy for the subscription %s, which no longer exists; put the subscription again, or purge the copy", sub), nil
		}
		m.channel, m.leaveOut = sub, []any{entryOfLine}
		return m, "", nil
	}
	fields := r.fields
	if _, raw := r.sizes["raw"]; raw && r.pairs == 1 {
		whole, err := s.keptFields(ctx, place, r.p, r.entry)
		if err != nil {
			return m, "", err
		}
		raw := fieldMap(whole)["raw"]
		if !isEntryID(r.source) {
			item, err := rules.DecodeItem([]byte(raw), rules.MaxBody)
			if err != nil {
				return m, "it still cannot be decoded: " + medispatcher.OneLine(err) + "; publish a corrected message, then purge this one", nil
			}
			m.item, m.unwanted = &item, !rules.Wanted(item.Topic)
			return m, "", nil
		}
		if packed := unpacked(raw); packed != nil {
			m.own = false
			fields = fieldMap(packed)
			for _, name := range append(slices.Clone(medispatcher.EntryFields), "~src", entry.Released) {
				if value, there := fields[name]; there {
					m.add = append(m.add, name, value)
				}
			}
		}
	}
	if refusal := undecodable(fields, r, rules.MaxBody); refusal != "" {
		return m, refusal, nil
	}
	s.keepOrigin(&m, fields)
	m.unwanted = !rules.Wanted(fields["topic"])
	return m, "", nil
}

// copyFailedOf is the subscription whose channel refused the copy in this row. ok is false if the row is no such copy.
func (s *Store) copyFailedOf(r *keptRow) (sub string, ok bool) {
	text, ok := strings.CutPrefix(r.reason, "REDISTFAIL "+s.keys.Channel(r.p, ""))
	if !ok {
		return "", false
	}
	if sub, _, _ = strings.Cut(text, " "); medispatcher.CheckSubscriptionID(sub) != nil {
		return "", false
	}
	return sub, true
}

// undecodable says why the fan-out would quarantine an entry again, and what to do; "" if it would not.
func undecodable(fields map[string]string, r *keptRow, maxBody int64) string {
	_, err := medispatcher.DecodeEntry(fields, time.Time{})
	if size := r.sizes["body"]; err == nil && maxBody > 0 && max(size, int64(len(fields["body"]))) > maxBody {
		err = fmt.Errorf("body: is %d bytes long; the limit is %d (MEDIS_MAX_BODY)", size, maxBody)
	}
	if err == nil {
		return ""
	}
	var field medispatcher.FieldError
	if errors.As(err, &field) && r.sizes[field.Field] > keptValue {
		return fmt.Sprintf("%s: is %d bytes long", field.Field, r.sizes[field.Field])
	}
	return "it would come back: " + medispatcher.OneLine(err) + "; publish a corrected message, then purge this one"
}

// keepOrigin makes the replayed message keep its id, its time and what is left of its delay.
func (s *Store) keepOrigin(m *keptMove, fields map[string]string) {
	source := m.row.source
	if !isEntryID(source) {
		return
	}
	at := Entry{ID: source}.Time()
	if fields["id"] == "" && fields["~src"] == "" {
		m.add = append(m.add, "~src", source)
		m.leaveOut = append(m.leaveOut, "~src")
	}
	if fields["time"] == "" {
		m.add = append(m.add, "time", strconv.FormatInt(at.UnixMilli(), 10))
		m.leaveOut = append(m.leaveOut, "time")
	}
	if delay, err := medispatcher.ParseDelay(fields["delay"]); err == nil && delay > 0 {
		rest := max(0, delay-max(0, s.db.Now().Sub(at)))
		m.add = append(m.add, "delay", strconv.FormatInt(rest.Milliseconds(), 10))
		m.leaveOut = append(m.leaveOut, "delay")
	}
}

// unpacked reads the netstrings that fanout_rest.lua packs an entry with too many fields into; nil if text is something else.
func unpacked(text string) []string {
	var fields []string
	for text != "" {
		head, rest, ok := strings.Cut(text, ":")
		n, err := strconv.Atoi(head)
		if !ok || err != nil || n < 0 || n > len(rest) {
			return nil
		}
		fields, text = append(fields, rest[:n]), rest[n:]
	}
	if len(fields)%2 != 0 {
		return nil
	}
	return fields
}
