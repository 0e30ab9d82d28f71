package entry

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/solate/medispatcher"
)

// EncodeFailure writes a failure record; "" for nil.
func EncodeFailure(f *medispatcher.Failure) (string, error) {
	if f == nil {
		return "", nil
	}
	record, err := json.Marshal(f)
	return string(record), err
}

// DecodeFailure reads a failure record; nil if it is unreadable.
func DecodeFailure(record string) *medispatcher.Failure {
	var f medispatcher.Failure
	if json.Unmarshal([]byte(record), &f) != nil {
		return nil // somebody damaged it by hand; the message must go on without it
	}
	return &f
}

// decodeTried reads the field of this name. What somebody damaged by hand counts as not tried.
func decodeTried(text string) (attempts int, due time.Time, f *medispatcher.Failure) {
	first, rest, _ := strings.Cut(text, " ")
	ms, record, _ := strings.Cut(rest, " ")
	attempts, err := strconv.Atoi(first)
	at, errAt := strconv.ParseInt(ms, 10, 64)
	if err != nil || errAt != nil || attempts < 1 {
		return 0, due, nil
	}
	return attempts, time.UnixMilli(at), DecodeFailure(record)
}
