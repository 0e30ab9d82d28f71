package web

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/solate/medispatcher"
)

const auditShown = 100

type auditData struct {
	paging
	Rows []deedRow
}

// deedRow is an entry of the audit trail as the page shows it.
type deedRow struct {
	medispatcher.Deed
	Lines []string
}

func (p *pages) audit(w http.ResponseWriter, r *http.Request) error {
	before := r.URL.Query().Get("after") // further down the page is earlier
	deeds, err := p.store.Deeds(r.Context(), before, auditShown)
	if err != nil {
		return err
	}
	var d auditData
	next := ""
	if len(deeds) == auditShown {
		next = deeds[auditShown-1].ID
	}
	d.paging = pagingOf("/audit", url.Values{"after": {before}}, next)
	for _, deed := range deeds {
		d.Rows = append(d.Rows, deedRow{deed, deedLines(deed)})
	}
	return p.show(w, r, http.StatusOK, "audit", "Audit trail", d)
}

// deedLines says what came of a deed.
func deedLines(d medispatcher.Deed) []string {
	lines := fieldLines(d.Fields)
	if d.What != medispatcher.DeedChangeSub {
		lines = nil // what a subscription was created with, or removed with, is many lines
	}
	for _, name := range slices.Sorted(maps.Keys(d.Counts)) {
		lines = append(lines, name+": "+number(d.Counts[name]))
	}
	if d.Named > 0 {
		named := plural(d.Named, "message") + " named: " + shortText(strings.Join(d.IDs, ", "))
		if d.Named > len(d.IDs) {
			named += fmt.Sprintf(" and %s more", number(d.Named-len(d.IDs)))
		}
		lines = append(lines, named)
	}
	if d.Error != "" {
		lines = append(lines, "failed: "+shortText(d.Error))
	}
	return lines
}
