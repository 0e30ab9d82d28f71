package recover

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func entries(lines []Line) (out []string) {
	for _, l := range lines {
		out = append(out, l.Entry)
	}
	return out
}

func TestFileThatIsRotated(t *testing.T) {
	t.Parallel()
	log, path := open(t)
	write(t, log, Line{Code: Sent, Entry: "1"})
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write(t, log, Line{Code: Sent, Entry: "2"})
	write(t, log, Line{Code: Sent, Entry: "3"})
	if got := entries(read(t, path)); strings.Join(got, " ") != "2 3" {
		t.Errorf("the new file holds %v", got)
	}
	if got := entries(read(t, path+".1")); strings.Join(got, " ") != "1" {
		t.Errorf("the former file holds %v", got)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := log.Reopen(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != 0 || info.Mode() != 0o600 {
		t.Errorf("made anew: %v, %v", info, err)
	}
	write(t, log, Line{Code: Sent, Entry: "4"})
	if got := entries(read(t, path)); strings.Join(got, " ") != "4" {
		t.Errorf("the new file holds %v", got)
	}
}

// TestRotationThatFails: while the file cannot be created, a write is an error, and nothing goes into the old file.
func TestRotationThatFails(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "d")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	log, err := OpenDataLog(filepath.Join(dir, "data.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if err := os.Rename(dir, dir+".1"); err != nil {
		t.Fatal(err)
	}
	if err := writeTo(log, Line{Code: Sent, Entry: "1"}); err == nil || !strings.Contains(err.Error(), "data.log: no such file or directory") {
		t.Errorf("error %v", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, log, Line{Code: Sent, Entry: "1"})
	if got := entries(read(t, filepath.Join(dir, "data.log"))); strings.Join(got, " ") != "1" {
		t.Errorf("the new file holds %v", got)
	}
	if got := entries(read(t, filepath.Join(dir+".1", "data.log"))); len(got) != 0 {
		t.Errorf("the former file holds %v", got)
	}
}

// TestLineAfterATornOne: an earlier process was killed while it wrote a line.
func TestLineAfterATornOne(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data.log")
	if err := os.WriteFile(path, []byte(`{"code":"SENT","ti`), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := OpenDataLog(path)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	write(t, log, Line{Code: Sent, Entry: "1"})
	write(t, log, Line{Code: Sent, Entry: "2"})
	text, err := os.ReadFile(path)
	if lines := strings.Split(string(text), "\n"); err != nil || len(lines) != 4 || !strings.Contains(lines[1], `"1"`) {
		t.Errorf("%q, %v", text, err)
	}
}

func TestStdoutIsNotReopened(t *testing.T) {
	t.Parallel()
	if err := Stdout(&strings.Builder{}).Reopen(); err != nil {
		t.Error(err)
	}
}
