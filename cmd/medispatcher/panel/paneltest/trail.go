package paneltest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/solate/medispatcher"
)

func (f *Fake) Note(_ context.Context, d medispatcher.Deed) error {
	if err := f.fails("note"); err != nil {
		return err
	}
	d.ID = fmt.Sprintf("%d-0", len(f.Noted)+1)
	f.Noted = append(f.Noted, d)
	return nil
}

func (f *Fake) Deeds(_ context.Context, before string, limit int) ([]medispatcher.Deed, error) {
	list := slices.Clone(f.Noted)
	slices.Reverse(list)
	if at := slices.IndexFunc(list, func(d medispatcher.Deed) bool { return d.ID == before }); at >= 0 {
		list = list[at+1:]
	}
	return append([]medispatcher.Deed{}, list[:min(len(list), limit)]...), f.fails("deeds")
}

func (f *Fake) EndSession(_ context.Context, id string, _ time.Time) error {
	if err := f.fails("sessions"); err != nil {
		return err
	}
	if f.SignedOut == nil {
		f.SignedOut = map[string]bool{}
	}
	f.SignedOut[id] = true
	return nil
}

func (f *Fake) SessionEnded(_ context.Context, id string) (bool, error) {
	return f.SignedOut[id], f.fails("sessions")
}
