package rdb

import (
	"strconv"
	"strings"
	"time"
)

// NextID is the smallest stream id after a valid one.
func NextID(entryID string) string {
	head, tail, _ := strings.Cut(entryID, "-")
	ms, _ := strconv.ParseUint(head, 10, 64)
	seq, _ := strconv.ParseUint(tail, 10, 64)
	if seq++; seq == 0 {
		ms++
	}
	return strconv.FormatUint(ms, 10) + "-" + strconv.FormatUint(seq, 10)
}

// IsEntryID reports whether an id is a whole entry id, such as 1700000000000-0.
func IsEntryID(id string) bool {
	ms, seq, two := strings.Cut(id, "-")
	m, errMS := strconv.ParseUint(ms, 10, 64)
	n, errSeq := strconv.ParseUint(seq, 10, 64)
	return two && errMS == nil && errSeq == nil && m|n != 0 // 0-0 is before every entry
}

// GeneratedID is the id of a message whose producer gave none.
func GeneratedID(p int, entryID string) string {
	return strconv.Itoa(p) + "-" + entryID
}

// EntryTime is when Redis accepted an entry; the zero time if entryID is not an id.
func EntryTime(entryID string) time.Time {
	ms, _, _ := strings.Cut(entryID, "-")
	n, err := strconv.ParseUint(ms, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(int64(min(n, latestTime)))
}

// latestTime is the end of the year 9999 in ms. JSON cannot hold a later time.
const latestTime = 253_402_300_799_999
