package rdb

import "strconv"

// ToInt reads a number of a script's answer; miniredis gives strings at times.
func ToInt(v any) int {
	switch v := v.(type) {
	case int64:
		return int(v)
	case string:
		n, _ := strconv.Atoi(v)
		return n
	}
	return 0
}
