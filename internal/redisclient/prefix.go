package redisclient

import (
	"fmt"
	"strings"
	"unicode"
)

// CheckPrefix says what is wrong with a key prefix. Braces would move the hash tag, pattern characters would match too many keys, and
// control characters are invisible in listings.
func CheckPrefix(prefix string) error {
	if prefix == "" || strings.ContainsFunc(prefix, func(r rune) bool {
		return unicode.IsControl(r) || unicode.IsSpace(r) || strings.ContainsRune(`{}*?[]\`, r)
	}) {
		return fmt.Errorf("%q must not be empty nor hold spaces, braces or any of * ? [ ]", prefix)
	}
	return nil
}
