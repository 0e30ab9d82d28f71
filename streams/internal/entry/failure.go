package entry

import (
	"encoding/json"

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
