package streamstest

import (
	_ "embed"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

//go:embed shim/clock.c
var clockShim []byte

// EachClock is Each with a Redis whose clock the test can set.
func EachClock(t *testing.T, test func(t *testing.T, env *Env)) {
	t.Helper()
	t.Run("miniredis", func(t *testing.T) { test(t, Mini(t)) })
	t.Run("redis-server", func(t *testing.T) { test(t, RealClock(t)) })
}

// RealClock is Real with a clock that SetClock can set. It needs Linux and a C compiler.
func RealClock(t testing.TB, args ...string) *Env {
	t.Helper()
	dir := t.TempDir()
	source, library, ahead := filepath.Join(dir, "clock.c"), filepath.Join(dir, "clock.so"), filepath.Join(dir, "ahead")
	err := os.WriteFile(source, clockShim, 0o600)
	if err == nil && runtime.GOOS == "linux" {
		var said []byte
		if said, err = exec.Command("cc", "-shared", "-fPIC", "-o", library, source).CombinedOutput(); err != nil { //nolint:noctx // a second
			t.Logf("cc: %s", said)
		}
	}
	if err != nil || runtime.GOOS != "linux" {
		if os.Getenv(RequireRedis) == "1" {
			t.Fatal("the clock of redis-server cannot be set, and "+RequireRedis+"=1 requires it: ", err)
		}
		t.Skip("the clock of redis-server cannot be set here: ", err)
	}
	s := newServer(t, args...)
	s.ahead, s.environ = ahead, []string{"LD_PRELOAD=" + library, "MEDIS_TEST_CLOCK=" + ahead}
	s.setClock(t, 0)
	return started(t, s)
}

// SetClock sets the clock of Redis ahead of this machine's, by whole seconds. The clock of miniredis
// then stands still.
func (e *Env) SetClock(t testing.TB, ahead time.Duration) {
	t.Helper()
	if e.Mini != nil {
		e.Mini.SetTime(time.Now().Add(ahead).Round(0))
		return
	}
	e.Server.setClock(t, ahead)
}

func (s *Server) setClock(t testing.TB, ahead time.Duration) {
	t.Helper()
	var raw [8]byte
	binary.NativeEndian.PutUint64(raw[:], uint64(int64(ahead/time.Second)))
	f, err := os.OpenFile(s.ahead, os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteAt(raw[:], 0) // in place, because the server has mapped the file
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}
