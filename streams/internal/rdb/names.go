package rdb

import (
	"fmt"
	"slices"
	"strings"
)

// MostNamed is the most names that Some lists.
const MostNamed = 5

// Some lists a few of many names.
func Some(names []string) string {
	names = slices.Sorted(slices.Values(names))
	if len(names) <= MostNamed {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:MostNamed], ", "), len(names)-MostNamed)
}
