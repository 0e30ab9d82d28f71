package redisclient

import (
	"strings"
	"testing"
)

// FuzzParseURL: for any text as a URL, the error is one line without the password, and an accepted
// URL can be opened.
func FuzzParseURL(f *testing.F) {
	for _, seed := range [][2]string{
		{"redis://u:", "@h:1/2"}, {"redis://:", "@h1:1,h2:2?cluster=true"}, {"rediss://h?master_name=m&sentinel_password=", ""},
		{"unix://:", "@/run/redis.sock?db=2"}, {"redis://:1?a=", "@h"}, {"redis:/u:", "@h"}, {"redis://h/", "#x"}, {"", "@[::1"}, {"redis:/://", "@"},
	} {
		f.Add(seed[0], seed[1])
	}
	const password = "hunter2hunter2"
	f.Fuzz(func(t *testing.T, before, behind string) {
		rawURL := before + password + behind
		opt, err := Options(rawURL)
		if err != nil {
			secret := strings.Contains(behind, "@") || strings.HasSuffix(before, "sentinel_password=")
			if secret && strings.Contains(err.Error(), password) || strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("%q: the error %q shows the password, or is not one line", rawURL, err)
			}
			return
		}
		if len(opt.Addrs) == 0 || opt.MaxRetries != -1 {
			t.Errorf("%q is %+v", rawURL, opt)
		}
	})
}
