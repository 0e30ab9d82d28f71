package alert

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/matrix"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"
)

const maxURL = 2048 // bytes

// nextURL finds the separators in a list of URLs. A comma alone is none: URLs hold commas.
var nextURL = regexp.MustCompile(`[\s]+,?\s*|,\s*([A-Za-z][A-Za-z0-9+.-]*://)`)

// SplitURLs splits a list of receivers. White space separates URLs, and so does a comma that a scheme
// follows: smtp://h/?to=a@x,b@x,slack://… are two.
func SplitURLs(list string) []string {
	var urls []string
	add := func(s string) {
		if s = strings.Trim(s, " \t\r\n,"); s != "" {
			urls = append(urls, s)
		}
	}
	from := 0
	for _, m := range nextURL.FindAllStringSubmatchIndex(list, -1) {
		add(list[from:m[0]])
		from = m[1]
		if m[2] >= 0 {
			from = m[2]
		}
	}
	add(list[from:])
	return urls
}

// CheckURL reports what is wrong with the URL of a receiver, without connecting to it. The error holds no
// secret.
func CheckURL(rawURL string) error {
	if len(rawURL) > maxURL {
		return fmt.Errorf("is longer than %d bytes", maxURL)
	}
	if strings.Contains(rawURL, "***") {
		return errors.New("has asterisks where a secret was hidden; write the real URL, with * in a password as %2A")
	}
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme == "" {
		return errors.New("is not a URL; write smtp://…, slack://…, teams://…, telegram://…, discord://…, generic+https://… or another one that docs/ALERTS.md names, with / ? # % and spaces in passwords and tokens as %2F %3F %23 %25 %20")
	}
	if u.Scheme == "http" || u.Scheme == "https" {
		return fmt.Errorf("begins with %s://; write generic+%s://… for a webhook", u.Scheme, u.Scheme)
	}
	if u.Scheme == matrix.Scheme { // initializing this service would log in
		return safe((&matrix.Config{}).SetURL(u), rawURL)
	}
	_, err = service(u)
	return safe(err, rawURL)
}

// service makes the library's service for a URL.
func service(u *url.URL) (types.Service, error) {
	scheme, custom, _ := strings.Cut(strings.ToLower(u.Scheme), "+")
	if scheme == "logger" {
		return nil, errors.New("sends nothing; every alert is a log line anyway")
	}
	var lib router.ServiceRouter
	svc, err := lib.NewService(scheme)
	if err != nil {
		known := lib.ListServices()
		known = slices.DeleteFunc(known, func(s string) bool { return s == "logger" })
		slices.Sort(known)
		return nil, fmt.Errorf("has an unknown scheme; there are %s", strings.Join(known, ", "))
	}
	if custom != "" {
		from, ok := svc.(types.CustomURLService)
		if !ok {
			return nil, fmt.Errorf("has +%s after the scheme, which %s does not take", custom, scheme)
		}
		if u, err = from.GetConfigURLFromCustom(u); err != nil {
			return nil, err
		}
	}
	return svc, svc.Initialize(u, nil)
}
