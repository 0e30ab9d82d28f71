package main

import (
	"fmt"

	"github.com/solate/medispatcher/cmd/medispatcher/daemon"
	"github.com/solate/medispatcher/streams/doctor"
)

// filesFinding compares the limit of open files with what all subscriptions may need together.
func filesFinding(atOnce, fanoutReads int) doctor.Finding {
	const check = "open files"
	have, need := daemon.OpenFiles(), daemon.FilesNeeded(atOnce, fanoutReads)
	seen := fmt.Sprintf("the limit of this process is %d; a dispatcher needs %d when all subscriptions are busy (%d requests)", have, need, atOnce)
	if have < need {
		return configFinding(check, doctor.LevelWarning, seen, daemon.RaiseFiles)
	}
	return configFinding(check, doctor.LevelOK, seen, "")
}
