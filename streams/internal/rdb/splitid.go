package rdb

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/solate/medispatcher"
)

// SplitID reads "<partition>-<entry id>": the id of a dead letter, of a kept message, or of a
// message whose producer gave none.
func SplitID(partitions int, id string) (p int, entryID string, err error) {
	head, entryID, _ := strings.Cut(id, "-")
	p, err = strconv.Atoi(head)
	if err != nil || !IsEntryID(entryID) || p < 0 || p >= partitions {
		return 0, "", medispatcher.FieldError{Field: "id", Problem: fmt.Sprintf("%q is not the id of a dead letter, such as 0-1700000000000-0", id)}
	}
	return p, entryID, nil
}
