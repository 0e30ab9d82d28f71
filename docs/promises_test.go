// Package docs holds what the documents promise to the tests that prove it.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// held is how a promise names its tests: a comment, which readers of the page do not see.
var held = regexp.MustCompile(`<!-- held by ([^>]+) -->`)

// promised are the lists and tables in which each point and each row is a promise, by the line before them or their head.
var promised = []struct{ file, head string }{
	{"../README.md", "## What it promises, and what not"},
	{"OPERATIONS.md", "| what dies "},
	{"OPERATIONS.md", "| typed "},
	{"OPERATIONS.md", "| taken out "},
	{"OPERATIONS.md", "| cause "},
}

// TestPromises: each promise names tests, and each of them is there.
func TestPromises(t *testing.T) {
	tests := testNames(t)
	for _, p := range promised {
		lines := promises(t, p.file, p.head)
		if len(lines) == 0 {
			t.Errorf("%s: nothing is promised under %q", p.file, p.head)
		}
		for _, line := range lines {
			if !held.MatchString(line) {
				t.Errorf("%s: no test holds\n\t%s", p.file, line)
			}
		}
	}
	for _, file := range append(documents(t), "../README.md") {
		for _, m := range held.FindAllStringSubmatch(read(t, file), -1) {
			for name := range strings.SplitSeq(m[1], ",") {
				if name = strings.TrimSpace(name); !tests[name] {
					t.Errorf("%s: there is no test %s", file, name)
				}
			}
		}
	}
}

// promises are the rows of a table, or the points of a list with the lines that go on with them. What
// is not promised begins with "Not".
func promises(t *testing.T, file, head string) (found []string) {
	t.Helper()
	_, rest, ok := strings.Cut(read(t, file), "\n"+head)
	if !ok {
		t.Fatalf("%s has no %q", file, head)
	}
	_, rest, _ = strings.Cut(rest, "\n")
	for line := range strings.Lines(rest) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "| ---"), strings.HasPrefix(line, "- **Not"), line == "" && len(found) == 0:
		case strings.HasPrefix(line, "| "), strings.HasPrefix(line, "- "):
			found = append(found, line)
		case strings.HasPrefix(line, "  "):
			found[len(found)-1] += line
		default:
			return found
		}
	}
	return found
}

// testNames are all tests of the project.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	names := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		for _, m := range declared.FindAllStringSubmatch(read(t, path), -1) {
			names[m[1]] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func documents(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
