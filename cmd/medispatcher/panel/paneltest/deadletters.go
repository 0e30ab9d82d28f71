package paneltest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/solate/medispatcher"
)

// index finds a dead letter by its id.
func (f *Fake) index(id string) (int, error) {
	if !strings.HasPrefix(id, "0-") {
		return 0, medispatcher.FieldError{Field: "id", Problem: "no id"}
	}
	return slices.IndexFunc(f.Letters, func(l medispatcher.DeadLetter) bool { return l.ID == id }), nil
}

func (f *Fake) DeadLetters(_ context.Context, _, after string, limit int) ([]medispatcher.DeadLetter, error) {
	if err := f.fails("letters"); err != nil {
		return nil, err
	}
	from := 0
	if after != "" {
		i, err := f.index(after)
		if err != nil {
			return nil, err
		}
		from = i + 1
	}
	return f.Letters[from:min(len(f.Letters), from+limit)], nil
}

func (f *Fake) DeadLetter(_ context.Context, id, letter string) (medispatcher.DeadLetter, error) {
	if err := f.fails("letters"); err != nil {
		return medispatcher.DeadLetter{}, err
	}
	i, err := f.index(letter)
	if err != nil {
		return medispatcher.DeadLetter{}, err
	}
	if i < 0 {
		return medispatcher.DeadLetter{}, fmt.Errorf("dead letter %s of %q: %w", letter, id, medispatcher.ErrNotFound)
	}
	return f.Letters[i], nil
}

// take removes dead letters.
func (f *Fake) take(step string, ids []string) (n int, err error) {
	if err := f.fails(step); err != nil {
		return 3, err
	}
	var problems medispatcher.Problems
	for i, id := range ids {
		if _, err := f.index(id); err != nil {
			problems = append(problems, medispatcher.FieldError{Field: fmt.Sprintf("ids[%d]", i), Problem: "no id"})
		}
	}
	if len(problems) > 0 {
		return 0, problems
	}
	for _, id := range ids {
		if i, _ := f.index(id); i >= 0 {
			f.Letters = slices.Delete(f.Letters, i, i+1)
			n++
		}
	}
	f.Steps = append(f.Steps, fmt.Sprint(step, " ", n))
	return n, nil
}

func (f *Fake) takeAll(step string, more func(done, all int64) bool) (done, left int64, err error) {
	if err := f.fails(step); err != nil {
		return 3, 0, err
	}
	done = int64(len(f.Letters))
	more(done, done)
	f.Letters = nil
	f.Steps = append(f.Steps, fmt.Sprint(step, " all ", done))
	return done, left, nil
}

func (f *Fake) Replay(_ context.Context, _ string, ids []string) (int, error) {
	return f.take("replay", ids)
}

func (f *Fake) PurgeDead(_ context.Context, _ string, ids []string) (int, error) {
	return f.take("purgedead", ids)
}

func (f *Fake) ReplayAll(_ context.Context, _ string, more func(done, all int64) bool) (done, left int64, err error) {
	return f.takeAll("replay", more)
}

func (f *Fake) PurgeAllDead(_ context.Context, _ string, more func(done, all int64) bool) (done, left int64, err error) {
	return f.takeAll("purgedead", more)
}

// DeadLetters are three: a text, one that is not UTF-8 and has no record, and another text.
func DeadLetters() []medispatcher.DeadLetter {
	l := medispatcher.DeadLetter{
		ID: "0-1-0", Died: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Failure: &medispatcher.Failure{Attempts: 3},
		Message: medispatcher.Message{ID: "m", Topic: "a.b", Body: []byte("text")},
	}
	letters := []medispatcher.DeadLetter{l, l, l}
	letters[1].ID, letters[1].Message.Body, letters[1].Failure = "0-2-0", []byte("\xff"), nil
	letters[2].ID = "0-3-0"
	return letters
}
