package chaos_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/solate/medispatcher/streams/streamstest"
)

// binaries is the directory of the programs under test. TestMain makes it.
var binaries string

// programs is the variable that names a directory with the programs of another version, to compare with.
const programs = "MEDIS_CHAOS_PROGRAMS"

// build builds the programs when the first test asks for one. Without Redis no test does.
var build = sync.OnceValue(func() error {
	if os.Getenv(programs) != "" {
		return nil
	}
	out, err := exec.Command("go", "build", "-o", binaries, "../cmd/medispatcher", "../cmd/amender").CombinedOutput()
	if err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return nil
})

// program returns the path of a program under test.
func program(t *testing.T, name string) string {
	t.Helper()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(cmp.Or(os.Getenv(programs), binaries), name)
}

func TestMain(m *testing.M) {
	var err error
	if binaries, err = os.MkdirTemp("", "medis-chaos"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(binaries)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Println(err)
			code = 1
		}
	}
	figures.print()
	os.Exit(code)
}

// full reports whether this is a full run, which prints figures.
func full() bool { return os.Getenv("MEDIS_CHAOS") == "full" }

// slow skips a test except in CI and in a full run, so that go test ./... does not take minutes.
func slow(t *testing.T) {
	t.Helper()
	if !full() && os.Getenv(streamstest.RequireRedis) != "1" {
		t.Skip("slow: set " + streamstest.RequireRedis + "=1 or MEDIS_CHAOS=full to run it")
	}
}

// moments returns the source of random moments. It logs its seed; the same seed gives the same moments.
func moments(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("MEDIS_CHAOS_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("MEDIS_CHAOS_SEED: got %q, want a whole number of 0 or more", s)
		}
		seed = n
	}
	t.Logf("MEDIS_CHAOS_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// between returns a random duration, at least low and less than high.
func between(r *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(r.Int64N(int64(high-low)))
}

// pause sleeps until a fault is due, or while it lasts. Faults come at a time, so there is no event to wait for.
func pause(d time.Duration) { time.Sleep(d) }

// figures is what a full run prints at its end: a row of the table that compares systems,
// and lines from the other tests.
var figures results

type results struct {
	mu    sync.Mutex
	list  []string
	cells [6][]string // the row; each cell has a value for each setting
}

// The cells of the row. In A a dispatcher is killed, in B Redis.
const (
	lostA = iota
	duplicatesA
	lastA
	lostB
	duplicatesB
	survivedB
)

func (r *results) add(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, fmt.Sprintf(format, args...))
}

func (r *results) cell(which int, value any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cells[which] = append(r.cells[which], fmt.Sprint(value))
}

func (r *results) print() {
	if !full() {
		return
	}
	fmt.Println("\n| system | A lost | A duplicates | A last delivery after the last kill | B lost | B duplicates | B survived |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- |")
	row := "| medispatcher |"
	for _, values := range r.cells {
		row += " " + strings.Join(values, ", ") + " |"
	}
	fmt.Println(row + "\n")
	for _, line := range r.list {
		fmt.Println(line)
	}
}
