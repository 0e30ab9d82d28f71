package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/internal/config"
	"github.com/solate/medispatcher/cmd/internal/joined"
	"github.com/solate/medispatcher/streams/doctor"
)

const (
	areaConfiguration = "Configuration"
	// doctorWithin bounds an examination, which is long where there are many keys.
	doctorWithin = 5 * time.Minute
)

// levelMarks tell the levels apart without colour.
var levelMarks = map[doctor.Level]string{
	doctor.LevelOK: "✓", doctor.LevelUnknown: "?", doctor.LevelWarning: "!", doctor.LevelProblem: "✗",
}

// foundProblems is the error of a doctor that has printed every problem already.
type foundProblems struct{}

func (foundProblems) Error() string { return "" }

func (a *app) doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "doctor",
		GroupID: groupOperate,
		Short:   "Check the configuration, Redis and the state in it",
		Long: `Check the configuration, the Redis it names and the state in it, and say what to do about
each finding. Nothing is changed. It reads in small steps, so it may run beside working dispatchers.

✓ as it should be
? unknown: could not be checked, because Redis does not say or refuses this user
! warning: may become a problem, or is being repaired
✗ problem: messages are lost, stuck or refused, or will be

Exit 0 without a problem, 1 with one, 2 when the arguments or the -f file are wrong.`,
		Example: `  medispatcher doctor
  medispatcher -f production.env doctor --json | jq '.findings[] | select(.level == "problem")'`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			env, problems := a.environment(config.NeedsRedis | config.NeedsListen)
			if env.settings == nil { // the file is unreadable: there is nothing to check
				return problems
			}
			findings, err := env.examine(cmd.Context(), problems)
			if err != nil {
				return err
			}
			return env.showFindings(findings)
		},
	}
	return a.jsonFlag(cmd, "print JSON")
}

// examine makes every finding. It fails only if the examination did not end: a part of one says nothing.
func (e *environment) examine(ctx context.Context, problems error) ([]doctor.Finding, error) {
	findings := e.examineConfig(problems)
	store, err := e.openForDoctor()
	if err != nil {
		return append(findings, doctor.Finding{
			Area: doctor.AreaRedis, Check: "reachable", Level: doctor.LevelUnknown,
			Seen: "could not be checked: with this configuration there is no Redis to examine", Do: "correct the configuration first",
		}), nil
	}
	defer func() { _ = store.Close() }()
	if finding, away := e.ping(ctx, store); away {
		return append(findings, finding), ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, doctorWithin)
	defer cancel()
	s := &state{environment: e, store: store}
	_ = s.agree(ctx) // what is wrong is a finding
	x, err := doctor.Examine(ctx, store.Store, doctor.Checkup{Rules: e.cfg.Rules()})
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("the examination did not end within %s; see whether Redis is overloaded", medispatcher.ShortDuration(doctorWithin))
	}
	if err != nil {
		return nil, err
	}
	findings = append(findings, e.examineAgainst(x)...)
	findings = append(findings, filesFinding(x.AtOnce, e.cfg.FanoutWorkers*e.cfg.Partitions))
	findings = append(findings, x.Findings...)
	if e.cfg.ParkedElsewhere() {
		parked, err := e.examineParked(ctx)
		if err != nil {
			return nil, err
		}
		findings = append(findings, parked...)
	}
	return findings, nil
}

// examineParked looks at the other Redis, with the recover lists.
func (e *environment) examineParked(ctx context.Context) ([]doctor.Finding, error) {
	store, err := joined.Open(e.cfg.ParkedStreams("doctor-"+strconv.Itoa(os.Getpid()), e.log))
	if err != nil {
		return nil, nil // a finding of the configuration already
	}
	defer func() { _ = store.Close() }()
	ping, cancel := context.WithTimeout(ctx, cli.PingWithin)
	defer cancel()
	if err := store.Ping(ping); err != nil {
		return []doctor.Finding{{Area: doctor.AreaRecover, Check: "reachable", Level: doctor.LevelProblem,
			Seen: medispatcher.StepText(err),
			Do:   "see whether it runs and whether MEDIS_RECOVER_REDIS_URL is right; what producers parked there waits meanwhile"}}, ctx.Err()
	}
	return doctor.ExamineRecover(ctx, store.Store)
}

// openForDoctor opens the store if the configuration is good enough for that.
func (e *environment) openForDoctor() (*joined.Store, error) {
	if e.cfg.Partitions > config.MaxPartitions {
		return nil, fmt.Errorf("MEDIS_PARTITIONS is %d", e.cfg.Partitions)
	}
	return joined.Open(e.cfg.Streams("doctor-"+strconv.Itoa(os.Getpid()), e.log))
}

// ping makes a finding if Redis does not answer: then there is nothing else to look at.
func (e *environment) ping(ctx context.Context, store *joined.Store) (f doctor.Finding, away bool) {
	err := cli.Reach(ctx, store, e.cfg.RedisURL)
	if err == nil {
		return f, false
	}
	f = doctor.Finding{Area: doctor.AreaRedis, Check: "reachable", Level: doctor.LevelProblem, Seen: medispatcher.OneLine(err)}
	if explained, ok := errors.AsType[*cli.RedisError](err); ok {
		f.Seen, f.Do = explained.Seen, explained.Do
	}
	return f, true
}

// byLevel counts findings by level.
func byLevel(findings []doctor.Finding) map[doctor.Level]int {
	n := map[doctor.Level]int{}
	for _, f := range findings {
		n[f.Level]++
	}
	return n
}

func (e *environment) showFindings(findings []doctor.Finding) error {
	n := byLevel(findings)
	var err error
	if e.json {
		err = cli.WriteJSON(e.stdout, struct {
			Problems int              `json:"problems"`
			Warnings int              `json:"warnings"`
			Unknown  int              `json:"unknown"`
			Findings []doctor.Finding `json:"findings"`
		}{n[doctor.LevelProblem], n[doctor.LevelWarning], n[doctor.LevelUnknown], findings}, "  ")
	} else {
		err = printFindings(e.stdout, findings, config.RedisAt(e.cfg.RedisURL), config.RedisAt(e.cfg.RecoverRedisURL))
	}
	if err == nil && n[doctor.LevelProblem] > 0 {
		err = foundProblems{}
	}
	return err
}

// printFindings prints what was seen, and below each what to do, grouped by area.
func printFindings(w io.Writer, findings []doctor.Finding, redis, parked string) error {
	width := 0
	for _, f := range findings {
		width = max(width, len(f.Check))
	}
	var b strings.Builder
	for _, area := range []string{areaConfiguration, doctor.AreaRedis, doctor.AreaRecover, doctor.AreaDispatchers, doctor.AreaSubscriptions, doctor.AreaMessages} {
		title := area
		if area == doctor.AreaRedis {
			title += " at " + redis
		}
		if area == doctor.AreaRecover {
			title += " at " + parked
		}
		for _, f := range findings {
			if f.Area != area {
				continue
			}
			if title != "" {
				b.WriteString(cli.Clean(title) + "\n")
				title = ""
			}
			fmt.Fprintf(&b, "  %s %-*s  %s\n", levelMarks[f.Level], width, f.Check, cli.Clean(f.Seen))
			if f.Do != "" {
				fmt.Fprintf(&b, "    %-*s  → %s\n", width, "", cli.Clean(f.Do))
			}
		}
		if title == "" {
			b.WriteString("\n")
		}
	}
	n := byLevel(findings)
	fmt.Fprintf(&b, "%s, %s", cli.Counted(int64(n[doctor.LevelProblem]), "problem"), cli.Counted(int64(n[doctor.LevelWarning]), "warning"))
	if k := n[doctor.LevelUnknown]; k > 0 {
		fmt.Fprintf(&b, "; %s could not be done", cli.Counted(int64(k), "check"))
	}
	b.WriteString("\n")
	_, err := io.WriteString(w, b.String())
	return err
}
