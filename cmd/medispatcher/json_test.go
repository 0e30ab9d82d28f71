package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// TestJSON: every command that ends by itself prints JSON where --json is given, and nothing else.
func TestJSON(t *testing.T) {
	t.Parallel()
	c := newCLI(t, "MEDIS_HISTORY=10")
	log := filepath.Join(t.TempDir(), "data.log")
	if err := os.WriteFile(log, []byte(`{"code":"SENT","time":"2026-01-01T00:00:00Z"}`+"\nanother program\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, step := range []struct{ args, want string }{
		{"sub put s --topic a.* --url http://u:pw@h/", `"http://u:********@h/"`},
		{"sub set s concurrency=3", `"concurrency":3`},
		{"sub pause s", `"paused":true`},
		{"sub resume s", `"paused":false`},
		{"sub get s", `"id":"s"`},
		{"sub ls", `"id":"s"`},
		{"sub filter s --filter false", `"matches":false`},
		{"sub test s", `"problem":"`},
		{"sub history s", `"what":"changed"`},
		{"audit", `"what":"create-subscription"`},
		{"sub deliveries s", `"outcome":"failed"`},
		{"publish a.b 1", `"id":"0-`},
		{"status", `"incoming":`},
		{"stats", `"topics":`},
		{"partitions", `"spread":1`},
		{"kick s", `{"kicked":0}`},
		{"version", `"program":"medispatcher"`},
		{"replay s --since 1h --dry-run", `{"looked":1,"messages":1,"bytes":1}`},
		{"replay s --since 1h --yes", `"replayed":1`},
		{"purge s --yes", `{"buried":0,"ready":1}`},
		{"dead ls s", `"died":`},
		{"dead show s 0-1-0", `"died":`},
		{"dead replay s 0-1-0", `{"missing":0,"replayed":1}`},
		{"dead replay s", `{"replayed":1}`},
		{"dead purge s --yes", `{"purged":`},
		{"unrouted ls", `"topic":"a.b"`},
		{"unrouted show 0-1-0", `"message":{`},
		{"unrouted replay 0-1-0", `"replayed":1`},
		{"unrouted purge --yes", `{"purged":1}`},
		{"quarantine ls", `"reason":"x"`},
		{"quarantine show 0-1-0", `"raw":{`},
		{"quarantine replay 0-1-0", `"replayed":1`},
		{"quarantine purge --yes", `{"purged":1}`},
		{"message x", `"events":`},
		{"alert ls", `"firing":`},
		{"alert rules", `"name":"backlog"`},
		{"recover " + log, `{"codes":{"SENT":{"recovered":0,"already":0,"nothing":1,"failed":0}},"dry_run":false,"foreign":1}`},
		{"migrate --config migrate/testdata/medispatcher.toml --tables migrate/testdata --out " + filepath.Join(t.TempDir(), "new"), `"subscriptions":["101","102"]`},
		{"config", `"name":"MEDIS_REDIS_URL"`},
		{"doctor", `"findings":`},
		{"health", `{"ready":`},
		{"size --rate 100", `"dispatchers":2`},
		{"sub rm s --purge", `{"buried":0,"dead":0,"ready":2}`},
		{"bench --messages 5 --subscribers 2", `"deliveries":10`},
	} {
		if step.args == "sub deliveries s" {
			if _, err := c.redis.Lpush("medis:deliveries:s", `{"id":"1-d-1","time":"2026-01-01T00:00:00Z","outcome":"failed"}`); err != nil {
				t.Fatal(err)
			}
		}
		if strings.HasSuffix(step.args, "--dry-run") {
			id := strconv.FormatInt(time.Now().UnixMilli(), 10) + "-0"
			if _, err := c.redis.XAdd("medis:{0}:archive", id, []string{"topic", "a.b", "body", "1", "id", "x"}); err != nil {
				t.Fatal(err)
			}
		}
		if step.args == "dead ls s" {
			for _, id := range []string{"1-0", "2-0"} {
				if _, err := c.redis.XAdd("medis:{0}:dead:s", id, []string{"topic", "a.b", "body", "1", "id", "x", "~died", "1"}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if place, ok := strings.CutSuffix(step.args, " ls"); ok && (place == "unrouted" || place == "quarantine") {
			for _, id := range []string{"1-0", "2-0"} {
				if _, err := c.redis.XAdd("medis:{0}:"+place, id, []string{"reason", "x", "source", "1-0", "topic", "a.b", "body", "1"}); err != nil {
					t.Fatal(err)
				}
			}
		}
		args := append(strings.Fields(step.args), "--json")
		_, out, stderr := c.run("", args...) // doctor finds that miniredis is no Redis
		dec, values := json.NewDecoder(strings.NewReader(out)), 0
		for {
			var v json.RawMessage
			if err := dec.Decode(&v); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%s: %v: %q, stderr %q", step.args, err, out, stderr)
			}
			values++
		}
		if short := strings.NewReplacer(" ", "", "\n", "").Replace(out); values == 0 || !strings.Contains(short, step.want) {
			t.Errorf("%s: no %s in %q, stderr %q", step.args, step.want, out, stderr)
		}
		seen[strings.Join(args[:1], " ")], seen[strings.Join(args[:2], " ")] = true, true
	}
	// alert test needs receivers, partitions forget some that are empty, and both have tests of their own. The others run
	// until they are stopped.
	for _, name := range []string{"alert test", "partitions forget", "serve", "dev", "receive"} {
		seen[name] = true
	}
	for _, cmd := range (&app{}).root().Commands() {
		for _, leaf := range append([]*cobra.Command{cmd}, cmd.Commands()...) {
			path := strings.TrimPrefix(leaf.CommandPath(), "medispatcher ")
			if len(leaf.Commands()) == 0 && !seen[path] && !strings.HasPrefix(path, "completion") && path != "help" {
				t.Errorf("no step runs %s", path)
			}
		}
	}
}
