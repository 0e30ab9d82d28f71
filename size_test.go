package medispatcher

import "testing"

func TestSize(t *testing.T) {
	for in, want := range map[string]Size{"0": 0, "1048576": 1 << 20, "512KiB": 512 << 10, "1MiB": 1 << 20, "1 mib": 1 << 20, "2MB": 2e6, "3kb": 3000, "7B": 7, "1GiB": 1 << 30} {
		var s Size
		if err := s.UnmarshalText([]byte(in)); err != nil || s != want {
			t.Errorf("%s: %d, %v", in, s, err)
		}
		var again Size
		if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
			t.Errorf("%s is written %s", in, s)
		}
	}
	for _, in := range []string{"", "B", "-1", "1.5MiB", "x", "9999999999GiB", "1KiBB"} {
		var s Size
		if err := s.UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%q is %d", in, s)
		}
	}
}

func TestSizeAbout(t *testing.T) {
	for n, want := range map[Size]string{0: "0 B", 999: "999 B", 1023: "1023 B", 1024: "1.0 KiB", 1 << 20: "1.0 MiB", 1300 << 20: "1.3 GiB", 15 << 30: "15 GiB", 1<<20 - 1: "1.0 MiB", 99 << 40: "99 TiB"} {
		if got := n.About(); got != want {
			t.Errorf("%d: %s, want %s", int64(n), got, want)
		}
	}
}
