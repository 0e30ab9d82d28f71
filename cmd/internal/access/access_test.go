package access

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

func TestRoles(t *testing.T) {
	// What each role may use, of the routes that need the roles in the heading.
	want := `
          admin operator publisher reader metrics anybody
admin     yes   yes      yes       yes    yes     yes
operator  no    yes      yes       yes    yes     yes
publisher no    no       yes       no     no      yes
reader    no    no       no        yes    yes     yes
metrics   no    no       no        no     yes     yes
nobody    no    no       no        no     no      no
anybody   no    no       no        no     no      no`
	var needs []string
	for i, line := range strings.Split(strings.TrimSpace(want), "\n") {
		words := strings.Fields(line)
		if i == 0 {
			needs = words
			continue
		}
		for j, may := range words[1:] {
			if got := Role(words[0]).May(Role(needs[j])); got != (may == "yes") {
				t.Errorf("%s uses what needs %s: %v", words[0], needs[j], got)
			}
		}
	}
	if Role("").May(Anybody) || Role("").May("") || Admin.May("") {
		t.Error("the empty role is good for something")
	}
}

func TestParse(t *testing.T) {
	ann, bob := "5f2e9b40c8d71a3608", "7c1d0a9e8b6f3425"
	tokens, problems := Parse(" ann:admin:" + ann + ",\n# scrapes\r\nbob@ci.example:Metrics:" + bob + ",,\n")
	if len(problems) > 0 || fmt.Sprint(tokens) != fmt.Sprintf("[{ann admin %s} {bob@ci.example metrics %s}]", ann, bob) {
		t.Errorf("%v %v", tokens, problems)
	}
	for list, wants := range map[string][]string{
		"hush":                                {"entry 1 is not name:role:token"},
		"ann:admin":                           {"entry 1 is not name:role:token"},
		"an n:admin:" + ann:                   {"entry 1 has a name other than"},
		"ann:root:" + ann:                     {"entry 1 (ann) has no known role; give one of admin, operator, publisher, reader, metrics"},
		"ann:anybody:" + ann:                  {"no known role"},
		"ann:admin:hush":                      {"entry 1 (ann) has 4 characters; give 16 or more"},
		"ann:admin:":                          {"entry 1 (ann) has an empty token"},
		"ann:admin:hush hush hush h;":         {"entry 1 (ann) has a space"},
		"x,ann:admin:hush\nb:reader:":         {"entry 1 is not", "entry 2 (ann) has 4", "entry 3 (b) has an empty"},
		"a:admin:" + ann + ",a:reader:" + bob: {"two tokens with the name a"},
		"a:admin:" + ann + ",b:reader:" + ann: {"one token for a and b"},
		strings.Repeat("#\n", 5) + ann + ":admin:" + bob: {""},
	} {
		_, problems := Parse(list)
		for i, want := range wants {
			if want == "" && len(problems) == 0 {
				continue // a name may be anything
			}
			if i >= len(problems) || !strings.Contains(problems[i].Error(), want) {
				t.Errorf("%q: %v, want %q", list, problems, want)
			}
		}
		if text := fmt.Sprint(problems); strings.Contains(text, "hush") || strings.Contains(text, ann) || strings.Contains(text, bob) {
			t.Errorf("a problem quotes a token: %s", text)
		}
	}
}

func TestWeakTokens(t *testing.T) {
	for _, weak := range []string{
		"aaaaaaaaaaaaaaaa", "abababababababab", "0123456789abcdef", "abcdefghijklmnop", "1234567890123456", "passwordpassword",
		"changeme-changeme", "my-admin-password-2024", "medispatcher-admin-token", "correctcorrectcorrect", "replace-this-secret-token", "fedcba9876543210",
		"11112222333344445555", "deadbeefdeadbeef",
	} {
		if err := Check(weak); err == nil || !strings.Contains(err.Error(), "can be guessed") || !strings.Contains(err.Error(), MakeOne) {
			t.Errorf("%s: %v", weak, err)
		}
	}
	refused := 0
	for range 20_000 {
		var raw [8]byte
		_, _ = rand.Read(raw[:])
		if Check(hex.EncodeToString(raw[:])) != nil {
			refused++
		}
	}
	if refused > 2 {
		t.Errorf("%d of 20,000 random tokens are refused", refused)
	}
}
