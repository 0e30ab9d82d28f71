package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/internal/config"
	"github.com/solate/medispatcher/streams/doctor"
)

// findings runs doctor --json, and gives every finding but the good ones as "<area>/<check>" → text.
func (c *program) findings(code int) map[string]string {
	c.t.Helper()
	got, stdout, stderr := c.run("", "doctor", "--json")
	if got != code || stderr != "" {
		c.t.Errorf("exit %d, want %d, stderr %q", got, code, stderr)
	}
	var out struct {
		Problems, Warnings, Unknown int
		Findings                    []doctor.Finding
	}
	if err := json.Unmarshal([]byte(stdout), &out); err != nil {
		c.t.Fatalf("%v in %s", err, stdout)
	}
	bad := map[string]string{}
	n := map[doctor.Level]int{}
	for _, f := range out.Findings {
		if n[f.Level]++; f.Level != doctor.LevelOK {
			bad[f.Area+"/"+f.Check] += string(f.Level) + ": " + f.Seen + " → " + f.Do + "\n"
		}
	}
	if n[doctor.LevelProblem] != out.Problems || n[doctor.LevelWarning] != out.Warnings || n[doctor.LevelUnknown] != out.Unknown {
		c.t.Errorf("counted %v, said %d, %d, %d", n, out.Problems, out.Warnings, out.Unknown)
	}
	return bad
}

// A Redis that says little about itself is no problem.
func TestDoctorOfHealthy(t *testing.T) {
	c := newCLI(t)
	c.ok("sub", "put", "billing", "--topic", "order.*", "--url", "http://h/")
	c.beat("one")
	out := c.ok("doctor")
	contains(t, out, "Configuration\n", "Redis at "+c.redis.Addr()+"\n", "  ✓ running ", "1 dispatcher alive", "  ? not checked ",
		"could not be checked (version, role, ", "✓ documents ", "1 subscription, all usable", "\n0 problems, 0 warnings; ")
	if strings.Contains(out, "✗") || strings.Contains(out, "!") {
		t.Error(out)
	}
}

func TestDoctorExitCodes(t *testing.T) {
	c := newCLI(t)
	c.beat("one")
	if _, err := c.redis.XAdd("medis:{0}:ch:gone\x1b", "*", []string{"topic", "a"}); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := c.run("", "doctor")
	if code != cli.ExitOK || stderr != "" {
		t.Errorf("with a warning alone: exit %d, %q", code, stderr)
	}
	contains(t, stdout, `! orphans `, `without a subscription: gone\x1b`, "\n  ", "→ to deliver them, put the subscription again", "\n0 problems, 1 warning; ")
	if err := c.redis.Set("medis:{0}:ch:billing", "x"); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr = c.run("", "doctor")
	if code != cli.ExitFailed || stderr != "" {
		t.Errorf("with a problem: exit %d, %q", code, stderr)
	}
	contains(t, stdout, "✗ key types ", "\n1 problem, 1 warning; ")
	c.fails(cli.ExitUsage, "", []string{"doctor", "now"}, `doctor takes no argument, and got "now"`)
	c.fails(cli.ExitUsage, "", []string{"-f", "/nowhere.env", "doctor"}, "cannot read /nowhere.env")
}

// With a wrong configuration, doctor still looks at Redis if that can be reached.
func TestDoctorOfConfiguration(t *testing.T) {
	c := newCLI(t, "MEDIS_CONCURRENCY=99", "MEDIS_MAX_CONCURRENCY=9", "MEDIS_TIMEOUT=soon", "MEDIS_DENY_CIDRS=here", "MEDIS_SHUTDOWN_TIMEOUT=2s")
	c.ok2("MEDIS_REDIS_URL=redis://"+c.redis.Addr(), "sub", "put", "slow", "--topic", "a", "--url", "http://h/", "--timeout", "29s", "--concurrency", "3")
	c.beat("one")
	bad := c.findings(cli.ExitFailed)
	contains(t, bad["Configuration/variables"], "problem: MEDIS_TIMEOUT=soon → give a duration",
		"problem: MEDIS_CONCURRENCY=99 is above MEDIS_MAX_CONCURRENCY=9 → lower the first or raise the second", "problem: MEDIS_DENY_CIDRS=here → ")
	contains(t, bad["Configuration/shutdown"], "warning: MEDIS_SHUTDOWN_TIMEOUT=2s is below the timeout of slow, 29s")
	if bad["Subscriptions/documents"] != "" || bad["Messages/keys"] != "" {
		t.Errorf("Redis was not looked at: %v", bad)
	}
	for _, env := range []string{"MEDIS_PARTITIONS=0", "MEDIS_PARTITIONS=99999", "MEDIS_KEY_PREFIX={a}", "MEDIS_REDIS_URL=nothing"} {
		c := newCLI(t)
		c.env = append(c.env, env)
		bad := c.findings(cli.ExitFailed)
		contains(t, bad["Configuration/variables"], "problem: "+env[:10])
		contains(t, bad["Redis/reachable"], "unknown: could not be checked", "correct the configuration first")
	}
}

// ok2 is ok in an environment of its own.
func (c *program) ok2(env string, args ...string) {
	c.t.Helper()
	if code, _, stderr := runWith(c.t, nil, []string{env}, args...); code != cli.ExitOK {
		c.t.Fatal(stderr)
	}
}

func TestDoctorOfRedisAway(t *testing.T) {
	c := &program{t: t, env: []string{deadRedis(t)}}
	bad := c.findings(cli.ExitFailed)
	contains(t, bad["Redis/reachable"], "problem: redis at 127.0.0.1:", "does not answer", " → check MEDIS_REDIS_URL, and whether Redis runs")
	if strings.Contains(bad["Redis/reachable"], "hush") {
		t.Error(bad)
	}
	r := newCLI(t)
	r.redis.SetError("LOADING Redis is loading the dataset in memory")
	contains(t, r.findings(cli.ExitFailed)["Redis/reachable"], "LOADING", "try again in a moment")
	if code, stdout, stderr := runCancelled(t, newCLI(t).env, "doctor"); code != cli.ExitFailed || stdout != "" || stderr != "medispatcher: interrupted\n" {
		t.Errorf("interrupted: exit %d, %q, %q", code, stdout, stderr)
	}
}

// TestDoctorOfRecoverRedis: the Redis with the recover lists is looked at, too.
func TestDoctorOfRecoverRedis(t *testing.T) {
	c, other := newCLI(t), newCLI(t)
	c.env = append(c.env, "MEDIS_RECOVER_REDIS_URL=redis://u:hush@"+other.redis.Addr())
	c.beat("one")
	if _, err := other.redis.Push("medis:recover:shop", "{}", "{}"); err != nil {
		t.Fatal(err)
	}
	if err := other.redis.Set("medis:recover:odd", "x"); err != nil {
		t.Fatal(err)
	}
	other.redis.RequireUserAuth("u", "hush")
	bad := c.findings(cli.ExitFailed)
	contains(t, bad["Recover Redis/recover lists"], "warning: messages that producers parked wait in medis:recover:shop (2)")
	contains(t, bad["Recover Redis/key types"], "problem: medis:recover:odd (a string, should be a list)")
	_, out, _ := c.run("", "doctor")
	contains(t, out, "Recover Redis at "+other.redis.Addr()+"\n", "✗ key types")
	other.redis.SetError("LOADING Redis is loading the dataset in memory")
	contains(t, c.findings(cli.ExitFailed)["Recover Redis/reachable"], "problem: ", "LOADING", "MEDIS_RECOVER_REDIS_URL")
}

func TestDataLogFinding(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "data.log")
	level := func(name string) doctor.Level { return dataLogFinding(name).Level }
	if f := dataLogFinding(file); f.Level != doctor.LevelOK {
		t.Errorf("%+v", f)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("it made the file")
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]doctor.Level{
		"-": doctor.LevelOK, file: doctor.LevelOK, dir: doctor.LevelProblem,
		filepath.Join(dir, "no", "such"): doctor.LevelProblem, filepath.Join(file, "x"): doctor.LevelProblem,
	} {
		if got := level(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if os.Getuid() != 0 { // root may write anywhere
		if err := os.Chmod(file, 0o400); err != nil {
			t.Fatal(err)
		}
		if level(file) != doctor.LevelProblem {
			t.Error("a file that cannot be written is called good")
		}
	}
}

func TestExamineAgainst(t *testing.T) {
	e := &environment{cfg: config.Config{MaxBody: 3 << 20, ShutdownTimeout: 25 * time.Second}}
	x := doctor.Examination{MaxBulk: 2 << 20}
	list := e.examineAgainst(x)
	if len(list) != 1 || list[0].Level != doctor.LevelProblem {
		t.Fatalf("%+v", list)
	}
	contains(t, list[0].Seen, "MEDIS_MAX_BODY=3MiB is above Redis's proto-max-bulk-len, 2MiB")
	x = doctor.Examination{MaxBulk: 3 << 20, Slowest: medispatcher.Subscription{ID: "s", Timeout: medispatcher.Duration(25 * time.Second)}}
	if list := e.examineAgainst(x); len(list) > 0 {
		t.Errorf("%+v", list)
	}
}
