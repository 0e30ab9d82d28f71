package rdb

import (
	"fmt"
	"slices"
	"strings"
)

// MostNamed is how many names Some lists at most.
const MostNamed = 5

// Some lists the first names in order, and how many more there are.
func Some(names []string) string {
	names = slices.Sorted(slices.Values(names))
	if len(names) <= MostNamed {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:MostNamed], ", "), len(names)-MostNamed)
}
