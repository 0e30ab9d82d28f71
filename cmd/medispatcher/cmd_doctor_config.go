package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/config"
	"github.com/solate/medispatcher/streams/doctor"
)

// examineConfig finds what would keep a dispatcher from starting, and whether it could write its DATA log.
func (e *environment) examineConfig(problems error) []doctor.Finding {
	var list []doctor.Finding
	if all, ok := errors.AsType[config.Problems](problems); ok {
		for _, p := range all {
			list = append(list, configFinding("variables", doctor.LevelProblem, p.Seen, p.Do))
		}
	} else {
		list = append(list, configFinding("variables", doctor.LevelOK, "a dispatcher would start with them", ""))
	}
	if limit := e.cfg.MaxInflight; limit > 0 && limit < config.RoomyInflight*e.cfg.MaxBody {
		list = append(list, configFinding("bodies in memory", doctor.LevelWarning,
			fmt.Sprintf("MEDIS_MAX_INFLIGHT=%s is less than %d messages of MEDIS_MAX_BODY=%s: large ones are pushed one at a time", limit, config.RoomyInflight, e.cfg.MaxBody),
			"raise the first or lower the second"))
	}
	return append(list, dataLogFinding(e.cfg.DataLog))
}

// examineAgainst compares the configuration with Redis and with the subscriptions.
func (e *environment) examineAgainst(x doctor.Examination) []doctor.Finding {
	var list []doctor.Finding
	if x.MaxBulk > 0 && int64(e.cfg.MaxBody) > x.MaxBulk {
		list = append(list, configFinding("largest body", doctor.LevelProblem,
			fmt.Sprintf("MEDIS_MAX_BODY=%s is above Redis's proto-max-bulk-len, %s: such messages cannot be stored", e.cfg.MaxBody, medispatcher.Size(x.MaxBulk)),
			"lower the first or raise the second"))
	}
	if x.Slowest.ID != "" && time.Duration(x.Slowest.Timeout) > e.cfg.ShutdownTimeout {
		list = append(list, configFinding("shutdown", doctor.LevelWarning,
			fmt.Sprintf("MEDIS_SHUTDOWN_TIMEOUT=%s is below the timeout of %s, %s: requests under way at a stop are cut, and repeated",
				medispatcher.ShortDuration(e.cfg.ShutdownTimeout), x.Slowest.ID, medispatcher.ShortDuration(time.Duration(x.Slowest.Timeout))),
			"raise it, and the grace period of the container with it, or lower that timeout"))
	}
	return list
}

func configFinding(check string, level doctor.Level, seen, do string) doctor.Finding {
	return doctor.Finding{Area: areaConfiguration, Check: check, Level: level, Seen: seen, Do: do}
}

// dataLogFinding says whether the DATA log could be written. It does not create the file.
func dataLogFinding(name string) doctor.Finding {
	const check, do = "DATA log", "correct MEDIS_DATA_LOG, or the rights of the user that dispatchers run as"
	if name == "-" {
		return configFinding(check, doctor.LevelOK, "stdout: what collects it has to keep it", "")
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		name = filepath.Dir(name)
		if info, err = os.Stat(name); err == nil && !info.IsDir() {
			err = errors.New("is not a directory")
		}
	case err == nil && info.IsDir():
		err = errors.New("is a directory")
	}
	if err == nil {
		err = writable(name)
	}
	if err != nil {
		return configFinding(check, doctor.LevelProblem, fmt.Sprintf("%s cannot be written: %v", name, config.WithoutPath(err)), do)
	}
	return configFinding(check, doctor.LevelOK, "can be written, by the user who runs this command", "")
}
