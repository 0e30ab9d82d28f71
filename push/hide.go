package push

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
)

// leastHidden is the shortest secret that is looked for in an answer, in bytes. A shorter one would hide innocent text.
const leastHidden = 6

// secrets are what is secret in the requests of a subscription: an answer may repeat it.
type secrets struct {
	list []string
	mask *strings.Replacer
}

// cutMark is behind a text that was cut.
const cutMark = http1.CutMark

// hide masks secrets in a text, also the beginning of one at which the text was cut.
func (s *secrets) hide(text string) string {
	if s == nil || len(s.list) == 0 || len(text) < leastHidden {
		return text
	}
	text = s.mask.Replace(text)
	if !strings.Contains(text, cutMark) {
		return s.hideBegun(text)
	}
	parts := strings.Split(text, cutMark)
	for i, part := range parts {
		parts[i] = s.hideBegun(part)
	}
	return strings.Join(parts, cutMark)
}

// hideBegun masks the beginning of a secret at the end of a text, which may be in quotes.
func (s *secrets) hideBegun(text string) string {
	bare := strings.TrimSuffix(text, `"`)
	for _, secret := range s.list {
		for n := min(len(secret)-1, len(bare)); n >= leastHidden; n-- {
			if begun, is := strings.CutSuffix(bare, secret[:n]); is {
				return begun + medispatcher.Mask + text[len(bare):]
			}
		}
	}
	return text
}

func secretsOf(sub *medispatcher.Subscription, w *ways) *secrets {
	s := &secrets{}
	hide := func(secret string) {
		if len(secret) < leastHidden {
			return
		}
		s.list = append(s.list, secret)
		if quoted := strconv.Quote(secret); len(quoted) != len(secret)+2 {
			s.list = append(s.list, quoted[1:len(quoted)-1])
		}
	}
	credentials := func(value string) { // with its scheme, such as Bearer, and without
		hide(value)
		if at := strings.LastIndexByte(value, ' '); at >= 0 {
			hide(value[at+1:])
		}
	}
	for name, values := range w.headers {
		for _, value := range values {
			if sub.SecretHeader(name) {
				credentials(value)
			}
		}
	}
	for _, t := range w.targets.urls {
		_, auth, _ := strings.Cut(strings.TrimSpace(string(t.auth)), ": ")
		credentials(auth)
	}
	hide(sub.Secret)
	for _, tagged := range sub.URLs {
		_, raw := medispatcher.SplitURL(tagged)
		u, err := url.Parse(raw)
		if err != nil {
			continue
		}
		password, _ := u.User.Password()
		hide(password)
		for _, values := range u.Query() {
			for _, value := range values {
				hide(value)
				hide(url.QueryEscape(value))
			}
		}
	}
	slices.SortFunc(s.list, func(a, b string) int { return cmp.Compare(len(b), len(a)) }) // one may hold another
	pairs := make([]string, 0, 2*len(s.list))
	for _, secret := range s.list {
		pairs = append(pairs, secret, medispatcher.Mask)
	}
	s.mask = strings.NewReplacer(pairs...)
	return s
}

// shown is the start of the answer, as people may see it.
func (r *result) shown() []byte {
	if len(r.answer) < leastHidden {
		return r.answer
	}
	return []byte(r.secrets.hide(string(r.answer)))
}
