package medispatcher

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes that is written 1048576, 512KiB, 1MiB or 2MB.
type Size int64

// sizeUnits: the longer names first, since a name may end in a shorter one.
var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9},
	{"B", 1},
}

// UnmarshalText reads a size. Upper and lower case mean the same.
func (s *Size) UnmarshalText(text []byte) error {
	number, unit := strings.TrimSpace(string(text)), int64(1)
	for _, u := range sizeUnits {
		if n := len(number) - len(u.name); n > 0 && strings.EqualFold(number[n:], u.name) {
			number, unit = strings.TrimSpace(number[:n]), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit {
		return fmt.Errorf("%q is not a size such as 1048576, 512KiB or 1MiB", text)
	}
	*s = Size(n * unit)
	return nil
}

// String writes the size in the largest unit that leaves no fraction.
func (s Size) String() string {
	best := sizeUnits[len(sizeUnits)-1]
	for _, u := range sizeUnits {
		if s != 0 && int64(s)%u.bytes == 0 && u.bytes > best.bytes {
			best = u
		}
	}
	return strconv.FormatInt(int64(s)/best.bytes, 10) + best.name
}

// MarshalText is String.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// About is the size as people say it: with two digits at least, such as 340 B, 1.2 GiB or 15 GiB.
func (s Size) About() string {
	n, unit := float64(s), "B"
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB", "PiB"} {
		if n < 1023.5 {
			break
		}
		n, unit = n/1024, next
	}
	if n < 9.95 && unit != "B" {
		return strconv.FormatFloat(n, 'f', 1, 64) + " " + unit
	}
	return strconv.FormatFloat(n, 'f', 0, 64) + " " + unit
}
