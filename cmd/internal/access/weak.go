package access

import (
	"errors"
	"fmt"
	"strings"
)

const (
	// minLength is the shortest token, in bytes: 16 random hex digits are 64 bits.
	minLength = 16
	// minDistinct is how many different characters a token has at least. Of a million random ones of 16 hex digits, not
	// one has fewer.
	minDistinct = 5
	// minUnknown is how many characters must be left of a token when what everybody would guess is taken out. It leaves
	// room for the repetitions that chance makes.
	minUnknown = 8
)

// MakeOne is a command that makes a good token.
const MakeOne = "openssl rand -hex 32"

// guessable is what people write when they do not make a token at random, in lower case.
var guessable = []string{
	"medispatcher", "changeme", "change-me", "change_me", "change", "password", "passwort", "passw0rd", "secret", "s3cret", "token",
	"admin", "operator", "publisher", "reader", "metrics", "example", "letmein", "default", "replace", "insert", "your", "test", "root", "here",
	"abcdefghijklmnopqrstuvwxyz", "0123456789", "qwertyuiop", "qwertz", "asdfghjkl", "zxcvbnm", "deadbeef", "cafebabe",
}

// Check says what makes a token unfit: it is too short, no header can carry it, or it can be guessed.
func Check(token string) error {
	switch {
	case token == "":
		return fmt.Errorf("has an empty token; make one with: %s", MakeOne)
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return fmt.Errorf("has a space, a control character or a letter outside ASCII, which no header carries; make one with: %s", MakeOne)
	case len(token) < minLength:
		return fmt.Errorf("has %d characters; give %d or more, such as: %s", len(token), minLength, MakeOne)
	case weak(token):
		return errors.New("can be guessed; make one at random: " + MakeOne)
	}
	return nil
}

// weak reports whether a token is made of few characters, of repetitions, or of words and runs that everybody would
// guess. Of a million random tokens of sixteen hex digits about one is.
func weak(token string) bool {
	rest := strings.ToLower(token)
	for _, word := range guessable {
		rest = strings.ReplaceAll(rest, word, "")
	}
	distinct := map[rune]bool{}
	for _, r := range rest {
		distinct[r] = true
	}
	return len(distinct) < minDistinct || unlike(rest) < minUnknown
}

// unlike counts the characters that do not follow from what stands before them: neither the next of a run such as abcd or
// 4321, nor the same again, nor part of a repetition of the beginning.
func unlike(s string) int {
	for period := 1; period <= len(s)/2; period++ {
		if strings.HasPrefix(s[period:], s[:len(s)-period]) {
			s = s[:period]
			break
		}
	}
	n, step := 0, 0
	for i := range len(s) {
		if i == 0 {
			n++
			continue
		}
		d := int(s[i]) - int(s[i-1])
		if d == 0 || (d == 1 || d == -1) && d == step {
			step = d
			continue
		}
		step = d
		n++
	}
	return n
}
