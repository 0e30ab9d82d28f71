package main

import (
	"fmt"
	"strings"
	"testing"
)

// TestSubPutMany: a file holds many subscriptions; a wrong one stops all; the list goes back in as it came out.
func TestSubPutMany(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	const lines = `{"id":"stock","topic":"order.*","urls":["http://h/s"],"secret":"` + secret + `","concurrency":32}
{"id":"audit","topic":">","urls":["http://u:hush@h/a"]}
`
	code, out, _ := c.run(lines, "sub", "put", "--file", "-")
	if code != 0 || out != "2 subscriptions created, 0 replaced\n" {
		t.Errorf("rc %d, printed %q", code, out)
	}
	before := c.stored("stock")
	code, out, errs := c.run(c.ok("sub", "ls", "--json"), "sub", "put", "--file", "-")
	if code != 0 || out != "0 subscriptions created, 2 replaced\n" || errs != "" {
		t.Errorf("rc %d, printed %q and %q", code, out, errs)
	}
	contains(t, c.stored("stock"), secret)
	contains(t, c.stored("audit"), "u:hush@h")

	c.fails(2, `{"id":"stock","topic":"x","urls":["http://h/"]}`+"\n"+`{"id":"new","topic":"a..b","urls":["ftp://h/"]}`, []string{"sub", "put", "--file", "-"},
		"line 2: topic", "line 2: urls[0]")
	// All mistakes are listed at once, of whatever kind.
	c.fails(2, `{"id":"new","topic":"a..b","urls":["ftp://h/"]}
{"topic":"x","urls":["http://h/"]}
7
{"id":"new","topic":"x","urls":["http://h/"]}
{"id":"a b","topic":"x","urls":["http://h/"]}
{"id":"stock","topic":"x","urls":["http://h/"],"concurrency":"many"}
{"id":"audit","topic"}`, []string{"sub", "put", "--file", "-"},
		"line 1: topic", "line 1: urls[0]", "line 2: id: is missing", "line 3: is not a subscription", `line 4: id: "new" is also that of line 1`,
		`line 5: id: "a b"`, "line 6: concurrency", "line 7: is not JSON")
	c.fails(2, `{"id":"new","topic":"a","urls":["http://h/"],"filter":"topic == '`+"\xff"+`'"}`, []string{"sub", "put", "--file", "-"}, "line 1: body: is not UTF-8")
	if c.stored("new") != "" || !strings.Contains(c.stored("stock"), "order.*") {
		t.Errorf("a wrong line was not all: %s, before %s", c.stored("stock"), before)
	}
	code, out, errs = c.run(`{"id":"stock","topic":"order.*","urls":["http://h/s"]}`, "sub", "put", "--file", "-", "--json")
	if code != 0 || !strings.Contains(out, `"replaced":1`) || !strings.Contains(errs, "stock: not given, and so reset: concurrency 32") || !strings.Contains(errs, "secret") {
		t.Errorf("rc %d, printed %q and %q", code, out, errs)
	}

	var many strings.Builder
	for i := range 25 {
		fmt.Fprintf(&many, `{"id":"s%d","topic":"a","urls":["http://h/"],"concurrency":32}`+"\n", i)
	}
	c.run(many.String(), "sub", "put", "--file", "-")
	_, _, errs = c.run(strings.ReplaceAll(many.String(), `,"concurrency":32`, ""), "sub", "put", "--file", "-")
	if n := strings.Count(errs, "so reset"); n != resetsShown || !strings.HasSuffix(errs, "and so of 5 subscriptions more\n") {
		t.Errorf("%d lines: %s", n, errs)
	}

	code, out, errs = c.run("\ufeff"+`{"id":"marked","topic":"a","urls":["http://h/"]}`, "sub", "put", "--file", "-")
	if code != 0 || c.stored("marked") == "" {
		t.Errorf("with a byte order mark: rc %d, printed %q and %q", code, out, errs)
	}
	c.fails(2, "", []string{"sub", "put", "--file", "-", "--concurrency", "3"}, "leave out the other flags")
	c.fails(2, "", []string{"sub", "put", "--file", "/does/not/exist"}, "cannot read")
	c.fails(2, " ", []string{"sub", "put", "--file", "-"}, "is empty")
	c.fails(2, "", []string{"sub", "put"}, "ID is missing")
}
