package operate

import (
	"context"
	"log/slog"
	"time"

	"github.com/solate/medispatcher"
)

// noteWithin bounds the time to note a deed, which somebody waits for.
const noteWithin = 3 * time.Second

// Note adds a deed to the audit trail, also if ctx has ended. When Redis does not take it, the log has it: it was done, and
// cannot be undone.
func Note(ctx context.Context, t Trail, d medispatcher.Deed, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteWithin)
	defer cancel()
	if err := t.Note(ctx, d); err != nil {
		log.Error("not in the audit trail, because Redis does not answer or refuses", "what", d.What, "by", d.By, "from", d.From,
			"subscription", d.Subscription, "ids", d.IDs, "counts", d.Counts, "failed", d.Error, "error", err)
	}
}
