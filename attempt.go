package medispatcher

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Attempt is an attempt that ended, in the list of a subscription's deliveries.
type Attempt struct {
	ID         string    `json:"id" doc:"Its place in the list"`
	Time       time.Time `json:"time" doc:"When it ended, by the clock of its dispatcher"`
	Message    string    `json:"message" doc:"The message's id"`
	Topic      string    `json:"topic"`
	Partition  int       `json:"partition"`
	Entry      string    `json:"entry" doc:"Id in its channel"`
	Attempt    int       `json:"attempt" doc:"1, 2, …"`
	Outcome    string    `json:"outcome" doc:"sent, failed (another attempt follows), dead or dropped"`
	Target     string    `json:"target,omitempty" doc:"URL without userinfo; absent where none of the subscription is for this environment"`
	Status     int       `json:"status,omitempty" doc:"Of the answer; absent where there was none"`
	TookMS     float64   `json:"took_ms" doc:"How long it waited for the answer"`
	Error      string    `json:"error,omitempty" doc:"Why it failed"`
	Answer     string    `json:"answer,omitempty" doc:"Start of the answer's body, as the worker wrote it"`
	Dispatcher string    `json:"dispatcher" doc:"Which made it"`
	Unlisted   int       `json:"unlisted,omitempty" doc:"Attempts of this dispatcher that ended shortly before and are not listed"`
}

// AttemptsKept is the most attempts that the list of a subscription holds.
const AttemptsKept = 200

const (
	// attemptText bounds an error and an answer in an Attempt, in bytes.
	attemptText = 256
	// attemptName bounds a target.
	attemptName = 512
)

// AttemptOf is an attempt that ended. It shares no memory with the delivery, which holds a body.
func AttemptOf(d *Delivery, s *Settlement, at time.Time) Attempt {
	a := Attempt{
		Time: at.UTC().Truncate(time.Millisecond), Message: strings.Clone(d.Message.ID), Topic: strings.Clone(d.Message.Topic),
		Partition: d.Partition, Entry: strings.Clone(d.EntryID), Attempt: d.Attempt, Outcome: s.Outcome.String(), Status: s.Status,
		TookMS: float64(s.Took.Microseconds()) / 1000, Target: CutText(s.Target, attemptName), Answer: CutText(string(s.Answer), attemptText),
	}
	if s.Failure != nil {
		a.Error = CutText(s.Failure.LastError, attemptText)
	}
	return a
}

// CutText is the start of a text, at most so many bytes of it, as valid UTF-8.
func CutText(s string, most int) string {
	cut := len(s) > most
	if cut {
		for s = s[:most]; len(s) > 0; s = s[:len(s)-1] {
			if r, n := utf8.DecodeLastRuneInString(s); r != utf8.RuneError || n > 1 || len(s) < most-utf8.UTFMax {
				break
			}
		}
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	if cut {
		s += "…"
	}
	return s
}

// Before reports whether an attempt comes before another in the list: the latest first.
func (a *Attempt) Before(b *Attempt) bool {
	return cmp.Or(b.Time.Compare(a.Time), len(b.ID)-len(a.ID), strings.Compare(b.ID, a.ID)) < 0
}

// AttemptQuery chooses attempts from the list.
type AttemptQuery struct {
	Outcome string // empty: all
	Status  string // 503, 5xx or none; empty: all
	Text    string // stands somewhere in it, in any case; empty: all
	After   string // the ID of the last one seen; empty: from the latest
	Limit   int
}

// Check says what is wrong with a query.
func (q *AttemptQuery) Check() error {
	var p Problems
	if q.Outcome != "" && !slices.Contains(AttemptOutcomes, q.Outcome) {
		p.add("outcome", "%s is none of %s", quote(q.Outcome), strings.Join(AttemptOutcomes, ", "))
	}
	if q.Status != "" && q.Status != statusNone {
		n, err := strconv.Atoi(strings.Replace(q.Status, "xx", "00", 1))
		if len(q.Status) != 3 || err != nil || n < 100 || n > 999 {
			p.add("status", "%s is not a status such as 503, a class such as 5xx, or none", quote(q.Status))
		}
	}
	if _, err := attemptTime(q.After); q.After != "" && err != nil {
		p.add("after", "%s is not the id of an attempt", quote(q.After))
	}
	return p.err()
}

// statusNone asks for attempts without an answer.
const statusNone = "none"

// AttemptOutcomes are the outcomes that an attempt in the list may have.
var AttemptOutcomes = []string{Sent.String(), Failed.String(), Exhausted.String(), Dropped.String()}

// Page chooses the attempts of a page from the whole list, the latest first. next is the After of the next page; empty on
// the last one.
func (q *AttemptQuery) Page(list []Attempt) (page []Attempt, next string) {
	page = []Attempt{}
	var after *Attempt
	if at, err := attemptTime(q.After); err == nil {
		after = &Attempt{ID: q.After, Time: at}
	}
	for i := range list {
		a := &list[i]
		if after != nil && !after.Before(a) || !q.matches(a) {
			continue
		}
		if len(page) == q.Limit {
			return page, page[len(page)-1].ID
		}
		page = append(page, *a)
	}
	return page, ""
}

func (q *AttemptQuery) matches(a *Attempt) bool {
	if q.Outcome != "" && a.Outcome != q.Outcome {
		return false
	}
	switch {
	case q.Status == "":
	case q.Status == statusNone:
		if a.Status != 0 {
			return false
		}
	case strings.HasSuffix(q.Status, "xx"):
		if strconv.Itoa(a.Status/100) != q.Status[:1] {
			return false
		}
	case strconv.Itoa(a.Status) != q.Status:
		return false
	}
	text := strings.ToLower(q.Text)
	return text == "" || slices.ContainsFunc([]string{a.Message, a.Topic, a.Target, a.Error, a.Answer, a.Dispatcher}, func(in string) bool {
		return strings.Contains(strings.ToLower(in), text)
	})
}

// AttemptID is the ID of the nth attempt that a dispatcher noted. It begins with the time.
func AttemptID(at time.Time, dispatcher string, n uint64) string {
	return fmt.Sprintf("%d-%s-%d", at.UnixMilli(), dispatcher[strings.LastIndex(dispatcher, "-")+1:], n)
}

// attemptTime is the time in an ID.
func attemptTime(id string) (time.Time, error) {
	ms, _, _ := strings.Cut(id, "-")
	n, err := strconv.ParseInt(ms, 10, 64)
	return time.UnixMilli(n).UTC(), err
}
