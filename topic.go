package medispatcher

import (
	"errors"
	"fmt"
	"strings"
)

// MaxTopic is the longest topic or pattern, in bytes.
const MaxTopic = 255

// CheckTopic says what is wrong with a topic: 1–255 bytes of levels
// [A-Za-z0-9_-]+ joined by dots.
func CheckTopic(topic string) error {
	return checkLevels(topic, false)
}

// CheckPattern says what is wrong with a subscription's topic pattern: a topic
// in which "*" stands for exactly one level and a last ">" for one or more.
func CheckPattern(pattern string) error {
	return checkLevels(pattern, true)
}

func checkLevels(s string, pattern bool) error {
	if s == "" {
		return errors.New("is missing: give a dotted name such as order.created")
	}
	if len(s) > MaxTopic {
		return fmt.Errorf("is %d bytes long; the limit is %d", len(s), MaxTopic)
	}
	levels := strings.Split(s, ".")
	for i, level := range levels {
		switch {
		case level == "":
			const problem = "has an empty level; levels are joined by single dots"
			return quoting{fmt.Sprintf("%q %s", s, problem), problem}
		case pattern && level == "*":
		case pattern && level == ">" && i == len(levels)-1:
		case pattern && level == ">":
			return fmt.Errorf("%q: %q stands for the rest and can only be the last level", s, ">")
		case !validLevel(level):
			if pattern {
				return fmt.Errorf("%q: level %q may hold only A-Z a-z 0-9 _ -, or be * (one level) or > (the rest)", s, level)
			}
			const problem = "may hold only A-Z a-z 0-9 _ -"
			return quoting{fmt.Sprintf("%q: level %q %s", s, level, problem), fmt.Sprintf("level %d %s", i+1, problem)}
		}
	}
	return nil
}

func validLevel(level string) bool {
	for i := range len(level) {
		c := level[i]
		if !isAlnum(c) && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// matchTopic reports whether a valid pattern covers a valid topic.
func matchTopic(pattern, topic string) bool {
	for {
		p, restP, moreP := strings.Cut(pattern, ".")
		t, restT, moreT := strings.Cut(topic, ".")
		switch {
		case p == ">":
			return true
		case p != "*" && p != t:
			return false
		case !moreP && !moreT:
			return true
		case moreP != moreT:
			return false
		}
		pattern, topic = restP, restT
	}
}
