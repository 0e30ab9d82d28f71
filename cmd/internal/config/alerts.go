package config

import (
	"fmt"
	"strings"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/alert"
)

// Receivers is a list of URLs that alerts go to.
type Receivers []string

// UnmarshalText reads a list as alert.SplitURLs does.
func (r *Receivers) UnmarshalText(text []byte) error {
	*r = alert.SplitURLs(string(text))
	return nil
}

func (r Receivers) String() string { return strings.Join(r, " ") }

// alerts checks receivers and templates.
func (c *checker) alerts() {
	for i, u := range c.cfg.AlertURLs {
		if err := alert.CheckURL(u); err != nil {
			c.test("MEDIS_ALERT_URLS", fmt.Errorf("number %d, %s, %w", i+1, medispatcher.MaskAlertURL(u), err))
		}
	}
	_, err := alert.LoadTexts(c.cfg.AlertTemplates)
	for _, err := range unjoin(err) {
		c.test("MEDIS_ALERT_TEMPLATES", err)
	}
}
