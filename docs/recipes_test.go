package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// quoted is what stands between backquotes.
var quoted = regexp.MustCompile("`([^`]+)`")

// TestRecipes holds the recipes of CONTRIBUTING.md to the tree. Each names an example, and a table of
// the files that a change of its kind touches. Every file is there, and no other source names the example.
func TestRecipes(t *testing.T) {
	_, recipes, ok := strings.Cut(read(t, "../CONTRIBUTING.md"), "\n## Recipes\n")
	if !ok {
		t.Fatal("CONTRIBUTING.md has no recipes")
	}
	recipes, _, _ = strings.Cut(recipes, "\n## ")
	sources := sources(t)
	list := strings.Split(recipes, "\n### ")[1:]
	if len(list) != 4 {
		t.Errorf("there are %d recipes, want 4", len(list))
	}
	for _, recipe := range list {
		title, text, _ := strings.Cut(recipe, "\n")
		var example *regexp.Regexp
		var files []string
		for line := range strings.Lines(text) {
			names := quoted.FindAllStringSubmatch(line, -1)
			switch {
			case strings.HasPrefix(line, "Example: "):
				var words []string
				for _, name := range names {
					words = append(words, regexp.QuoteMeta(name[1]))
				}
				example = regexp.MustCompile(`\b(` + strings.Join(words, "|") + `)\b`)
			case strings.HasPrefix(line, "| `"):
				files = append(files, names[0][1])
			}
		}
		if example == nil || len(files) == 0 {
			t.Errorf("%s: no example, or no files", title)
			continue
		}
		for _, file := range files {
			if found, err := filepath.Glob("../" + file); err != nil || len(found) == 0 {
				t.Errorf("%s: there is no %s", title, file)
			}
		}
		found := false
		for name, text := range sources {
			if !example.MatchString(text) {
				continue
			}
			found = true
			if !slices.ContainsFunc(files, func(pattern string) bool { ok, _ := filepath.Match(pattern, name); return ok }) {
				t.Errorf("%s: %s names the example, and is not in the list", title, name)
			}
		}
		if !found {
			t.Errorf("%s: no source names the example", title)
		}
	}
}

// sources are the files that a person writes for the product, without tests.
func sources(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, dir := range []string{".", "streams", "push", "recover", "alert", "amender", "cmd"} {
		err := filepath.WalkDir(filepath.Join("..", dir), func(path string, entry os.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && dir == "." && path != "..":
				return filepath.SkipDir
			case entry.IsDir() && (entry.Name() == "streamstest" || entry.Name() == "alerttest" || entry.Name() == "paneltest"):
				return filepath.SkipDir
			}
			if slices.Contains([]string{".go", ".lua", ".html", ".js"}, filepath.Ext(path)) && !strings.HasSuffix(path, "_test.go") {
				name, _ := filepath.Rel("..", path)
				found[filepath.ToSlash(name)] = read(t, path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// TestWalk holds the walk of ARCHITECTURE.md to the code: each row names a function and the line that declares it.
func TestWalk(t *testing.T) {
	row := regexp.MustCompile("(?m)^\\| \\d \\| `(\\w+)\\.(\\w+)` \\| \\[([\\w./]+):(\\d+)\\]\\(\\.\\./([\\w./]+)#L(\\d+)\\) \\|")
	rows := row.FindAllStringSubmatch(read(t, "ARCHITECTURE.md"), -1)
	if len(rows) < 5 {
		t.Fatalf("the walk has %d rows, want at least 5", len(rows))
	}
	for _, m := range rows {
		receiver, name, file, line := m[1], m[2], m[3], m[4]
		if m[5] != file || m[6] != line {
			t.Errorf("%s.%s: the link leads to %s:%s and says %s:%s", receiver, name, m[5], m[6], file, line)
		}
		declared := regexp.MustCompile(`^func \(\w+ \*?` + receiver + `\) ` + name + `\(`)
		at := 0
		for i, text := range strings.Split(read(t, "../"+file), "\n") {
			if declared.MatchString(text) {
				at = i + 1
			}
		}
		if fmt.Sprint(at) != line {
			t.Errorf("%s.%s is not at %s:%s but at line %d (0: nowhere)", receiver, name, file, line, at)
		}
	}
}
