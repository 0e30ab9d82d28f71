package config

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

// docHead opens docs/configuration.md; the table below it is made from the tags of Config.
var docHead = `# Configuration

<!-- Made from the struct tags of Config by
     go test ./cmd/internal/config -run TestConfigurationDoc -update
     Change it there, not here. -->

medispatcher is configured by environment variables. ` + "`medispatcher -f FILE.env`" + ` reads them from a
dotenv file; a variable that is set in the environment wins. An empty variable means its default.

` + "`medispatcher config`" + ` shows every variable, its value in force and where it comes from, and lists
every problem at once. A wrong value or a conflict stops the start with exit code 2. An unknown
` + "`MEDIS_`" + ` name is only a warning.

A duration is written ` + "`500ms`, `5s`, `1m30s`, `24h`" + `; a size ` + "`1048576`, `512KiB`, `1MiB`, `2MB`" + `. In a dotenv
file, put a value that has ` + "`$`, `#` or spaces" + ` in it between single quotes.

A variable that may hold a secret can be read from a file instead: ` + "`MEDIS_ADMIN_TOKEN_FILE=/run/secrets/token`" + `. These are
` + secretFilesDoc() + `. A line end at the end of
the file does not count. Both at once are a conflict.

| Variable | Default | Allowed | What it does |
| --- | --- | --- | --- |
`

const docTail = `
## Conflicts

- ` + "`MEDIS_CONCURRENCY`, `MEDIS_RETRY_CONCURRENCY` and `MEDIS_TIMEOUT`" + ` must not be above their maximum.
- ` + "`MEDIS_DEAD_AFTER`" + ` must be at least three times ` + "`MEDIS_HEARTBEAT`" + `: one lost heartbeat is no crash.
- ` + "`MEDIS_LISTEN`" + ` on an address that other machines can reach needs ` + "`MEDIS_ADMIN_TOKEN` or `MEDIS_TOKENS`" + `.
  Commands that do not listen do not ask for them.
- No two tokens have one name, and no token stands for two names.

These are the limits of a dispatcher and the defaults of its subscriptions; a subscription can say
otherwise, up to the maximum. Dispatchers that share a Redis should share a configuration, and must
share ` + "`MEDIS_PARTITIONS` and `MEDIS_KEY_PREFIX`" + `. [Operations](OPERATIONS.md#stopping-and-upgrading) says how to change the former.
`

// configDoc is the content of docs/configuration.md.
func configDoc() string {
	var b strings.Builder
	b.WriteString(docHead)
	escape := strings.NewReplacer("|", `\|`, "<", "&lt;")
	for _, v := range variables() {
		def := "none"
		if v.def != "" {
			def = "`" + v.def + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", v.name, def, v.allowed(), escape.Replace(v.doc))
	}
	b.WriteString(docTail)
	return b.String()
}

// allowed is want in short.
func (v variable) allowed() string {
	switch {
	case v.oneof != nil:
		return strings.Join(v.oneof, ", ")
	case v.min != "":
		return v.min + " – " + v.max
	case v.want() != "":
		return v.want()
	}
	return ""
}

var update = flag.Bool("update", false, "update docs/configuration.md")

func TestConfigurationDoc(t *testing.T) {
	const file = "../../../docs/configuration.md"
	if *update {
		if err := os.WriteFile(file, []byte(configDoc()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || string(got) != configDoc() {
		t.Errorf("docs/configuration.md is not current (%v); update it with: go test ./cmd/internal/config -run TestConfigurationDoc -update", err)
	}
}

// secretFilesDoc lists the variables that name files with secrets.
func secretFilesDoc() string {
	names := secretFiles()
	for i, name := range names {
		names[i] = "`" + name + "`"
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}
