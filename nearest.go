package medispatcher

import "strings"

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
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
