package medispatcher

import (
	"slices"
	"strings"
)

// Nearest is the candidate that somebody who typed s most likely meant, "" when none is close.
func Nearest(s string, candidates []string) string {
	best, bestAt := "", max(2, len(s)/4)+1
	for _, c := range candidates {
		if len(s) > 2 && strings.HasPrefix(c, s) {
			return c
		}
	}
	for _, c := range candidates {
		if d := distance(s, c); d < bestAt {
			best, bestAt = c, d
		}
	}
	return best
}

// DidYouMean is what to say about a name that is not among the candidates: the one that was probably meant, or else
// what otherwise says.
func DidYouMean(s string, candidates []string, otherwise string) string {
	if near := Nearest(s, candidates); near != "" {
		return "did you mean " + near + "?"
	}
	return otherwise
}

// distance is the Levenshtein distance: the number of insertions, removals and
// replacements of one byte that turn a into b.
func distance(a, b string) int {
	return distances(b, nil, a)[len(b)]
}

// distances are those from a word to each beginning of s. row has them for the beginning of the word, nil if that is empty,
// and more is the rest of it.
func distances(s string, row []int, more string) []int {
	if row == nil {
		row = make([]int, len(s)+1)
		for j := range row {
			row[j] = j
		}
	} else {
		row = slices.Clone(row)
	}
	for i := range len(more) {
		diagonal := row[0]
		row[0]++
		for j := range len(s) {
			cost := 1
			if more[i] == s[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row
}
