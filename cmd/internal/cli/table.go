package cli

import (
	"io"
	"strings"
	"unicode/utf8"
)

// Table prints aligned columns, their text made safe. text/tabwriter cannot align only some columns right.
type Table struct {
	Header []string // one that begins with ">" aligns its column right
	rows   [][]string
}

// Add adds a row, with a cell for each column.
func (t *Table) Add(cells ...string) {
	for i := range cells {
		cells[i] = Clean(cells[i])
	}
	t.rows = append(t.rows, cells)
}

// Empty reports whether there are no rows.
func (t *Table) Empty() bool { return len(t.rows) == 0 }

// Write prints the header and the rows.
func (t *Table) Write(w io.Writer) error {
	right := make([]bool, len(t.Header))
	header := make([]string, len(t.Header))
	widths := make([]int, len(t.Header))
	for i, h := range t.Header {
		header[i], right[i] = strings.CutPrefix(h, ">")
		widths[i] = utf8.RuneCountInString(header[i])
		for _, row := range t.rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	var b strings.Builder
	line := func(cells []string) {
		var l strings.Builder
		for i, cell := range cells {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i > 0 {
				l.WriteString("  ")
			}
			if right[i] {
				l.WriteString(pad + cell)
			} else {
				l.WriteString(cell + pad)
			}
		}
		b.WriteString(strings.TrimRight(l.String(), " ") + "\n")
	}
	line(header)
	for _, row := range t.rows {
		line(row)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
