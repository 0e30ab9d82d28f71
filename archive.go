package medispatcher

import "time"

// ArchiveSpan is what an archive holds.
type ArchiveSpan struct {
	Messages int64     `json:"messages" doc:"Of all partitions"`
	Bytes    int64     `json:"bytes" doc:"Of the messages, without what Redis adds"`
	Oldest   time.Time `json:"oldest,omitzero" doc:"When the oldest was fanned out"`
	Newest   time.Time `json:"newest,omitzero" doc:"When the newest was fanned out"`
}

// Add adds what another archive holds.
func (a *ArchiveSpan) Add(b ArchiveSpan) {
	a.Messages, a.Bytes = a.Messages+b.Messages, a.Bytes+b.Bytes
	if a.Oldest.IsZero() || !b.Oldest.IsZero() && b.Oldest.Before(a.Oldest) {
		a.Oldest = b.Oldest
	}
	if b.Newest.After(a.Newest) {
		a.Newest = b.Newest
	}
}
