package access

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// MaxTokens bounds the tokens of a dispatcher: each wrong one is compared with all of them.
const MaxTokens = 1000

// AdminName is the name of the token in MEDIS_ADMIN_TOKEN.
const AdminName = "admin"

// Token stands for somebody who may use the API and the panel.
type Token struct {
	Name   string
	Role   Role
	Secret string
}

// name is what a token may be called. It stands in logs, the history and the audit trail.
var name = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)

// Parse reads a list of name:role:token, separated by commas or line ends. Empty lines and those that begin with # are
// skipped. It reads on after a mistake, and returns all mistakes. They name the entry and never quote a token.
func Parse(list string) ([]Token, []error) {
	var tokens []Token
	var problems []error
	n := 0
	for entry := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' || r == '\n' || r == '\r' }) {
		entry = strings.TrimSpace(entry)
		if entry == "" || entry[0] == '#' {
			continue
		}
		n++
		t, err := parseOne(entry)
		if err != nil {
			problems = append(problems, fmt.Errorf("entry %d%s %w", n, called(t.Name), err))
			continue
		}
		tokens = append(tokens, t)
	}
	if n > MaxTokens {
		problems = append(problems, fmt.Errorf("has %d entries; give at most %d", n, MaxTokens))
	}
	return tokens, append(problems, Duplicates(tokens)...)
}

// called names an entry by its token's name, if it has a usable one.
func called(name string) string {
	if name == "" {
		return ""
	}
	return " (" + name + ")"
}

func parseOne(entry string) (Token, error) {
	parts := strings.SplitN(entry, ":", 3)
	if len(parts) < 3 {
		return Token{}, errors.New("is not name:role:token")
	}
	t := Token{Name: strings.TrimSpace(parts[0]), Role: Role(strings.ToLower(strings.TrimSpace(parts[1]))), Secret: strings.TrimSpace(parts[2])}
	if !name.MatchString(t.Name) {
		t.Name = "" // it may be the token itself, in the wrong place
		return t, errors.New("has a name other than 1 to 64 of A-Z a-z 0-9 . _ @ - that begin with a letter or digit")
	}
	if !slices.Contains(Roles, t.Role) {
		return t, fmt.Errorf("has no known role; give one of %s", RoleNames())
	}
	return t, Check(t.Secret)
}

// RoleNames lists the roles in words.
func RoleNames() string {
	names := make([]string, len(Roles))
	for i, r := range Roles {
		names[i] = string(r)
	}
	return strings.Join(names, ", ")
}

// Duplicates says which tokens have a name or a secret that an earlier one has.
func Duplicates(tokens []Token) []error {
	var problems []error
	names, secrets := map[string]bool{}, map[string]string{}
	for _, t := range tokens {
		if names[t.Name] {
			problems = append(problems, fmt.Errorf("has two tokens with the name %s; give each its own", t.Name))
		}
		if other, taken := secrets[t.Secret]; taken {
			problems = append(problems, fmt.Errorf("has one token for %s and %s; give each its own", other, t.Name))
		}
		names[t.Name], secrets[t.Secret] = true, t.Name
	}
	return problems
}
