package main

import (
	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
)

func (a *app) quarantineCommand() *cobra.Command {
	t := keptTexts(medispatcher.PlaceQuarantine)
	t.short = "Look at entries that could not be decoded, replay or purge them"
	t.long = `Look at the quarantine: entries of the incoming stream that could not be decoded or were too
large, copies for a channel whose key is not a stream, and items of recover lists that are not messages.
Each is kept as it came, with the reason. Replay them once the reason is gone, for example after
MEDIS_MAX_BODY was raised, or the foreign key deleted.`
	t.replayed = `Try quarantined entries again, with their id and time kept. Without IDs, all that are there
when it starts. A copy for one subscription goes to its channel alone. What would come back at
once is refused and stays, with the reason. It may be interrupted and repeated: no entry is lost
or published twice.`
	t.purge = "Remove quarantined entries for good, all of them or some"
	t.none = func(string) string { return "the quarantine is empty" }
	return a.placeCommand(t)
}
