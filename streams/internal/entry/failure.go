package entry

import (
	"encoding/json"

	"github.com/solate/medispatcher"
)

// EncodeFailure is a failure record; "" for none.
func EncodeFailure(f *medispatcher.Failure) (string, error) {
	if f == nil {
		return "", nil
	}
	record, err := json.Marshal(f)
	return string(record), err
}

// DecodeFailure reads a failure record.
func DecodeFailure(record string) *medispatcher.Failure {
	var f medispatcher.Failure
	if json.Unmarshal([]byte(record), &f) != nil {
		return nil // damaged by hand; the message matters more than its record
	}
	return &f
}
