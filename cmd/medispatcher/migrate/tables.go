package migrate

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/solate/medispatcher"
)

// row is a row of a table, with the line where it begins.
type row struct {
	line   int
	values map[string]string // by column
}

// table is a dumped table.
type table struct {
	file string
	rows []row
}

// The forms of a dump, by the ending of its file.
var endings = []string{".csv", ".tsv", ".json"}

// maxDump keeps a mistaken directory from filling the memory.
const maxDump = 256 << 20

// readTable reads a table from the file of its name in a directory. Every row has the columns.
func readTable(dir, name string, columns ...string) (*table, error) {
	for _, ending := range endings {
		path := filepath.Join(dir, name+ending)
		text, err := readBounded(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		t := &table{file: name + ending}
		text = bytes.TrimPrefix(text, []byte("\ufeff"))
		switch ending {
		case ".csv":
			err = t.readCSV(text)
		case ".tsv":
			err = t.readTSV(text)
		default:
			err = t.readJSON(text)
		}
		if hint := foreign(ending, text); hint != "" {
			return nil, fmt.Errorf("%s: %s", t.file, hint)
		}
		if err != nil {
			return nil, err
		}
		for _, r := range t.rows {
			for _, c := range columns {
				if _, ok := r.values[c]; !ok {
					return nil, fmt.Errorf("%s:%d: has no column %s; dump the whole table, with the names of its columns", t.file, r.line, c)
				}
			}
		}
		return t, nil
	}
	return nil, fmt.Errorf("there is no %s.csv, .tsv or .json in %s; see medispatcher migrate --help", name, dir)
}

// foreign says what to do about a dump of a common tool that is not one of the forms; "" if it is none.
func foreign(ending string, text []byte) string {
	head, _, _ := bytes.Cut(text, []byte("\n"))
	switch {
	case ending == ".csv" && bytes.ContainsAny(head, ";\t") && !bytes.Contains(head, []byte(",")):
		return "its columns are not separated by commas; export it with the separator , and the names of the columns in the first line"
	case ending == ".json" && (phpMyAdmin.Match(text) || bytes.HasPrefix(text, []byte("/**"))):
		return "is JSON of phpMyAdmin, which is not a list of rows; export it there as CSV, with the separator , and the names of the columns in the first line"
	}
	return ""
}

// phpMyAdmin matches the start of its JSON.
var phpMyAdmin = regexp.MustCompile(`^\s*\[\s*\{\s*"type"\s*:\s*"header"`)

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxDump+1))
	if err == nil && len(text) > maxDump {
		err = fmt.Errorf("%s is larger than 256 MiB; is it the table?", path)
	}
	return text, err
}

// readCSV reads CSV whose first line has the names of the columns.
func (t *table) readCSV(text []byte) error {
	in := csv.NewReader(bytes.NewReader(text))
	var names []string
	for {
		fields, err := in.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: is not CSV: %w", t.file, err)
		}
		if names == nil {
			names = fields
			continue
		}
		line, _ := in.FieldPos(0)
		t.add(line, names, fields)
	}
}

// tsv undoes the escapes of mysql --batch.
var tsv = strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\0`, "\x00", `\\`, `\`)

// readTSV reads what mysql --batch prints.
func (t *table) readTSV(text []byte) error {
	var names []string
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		fields := strings.Split(strings.TrimSuffix(line, "\r"), "\t")
		if names == nil {
			names = fields
			continue
		}
		if len(fields) != len(names) {
			return fmt.Errorf("%s:%d: has %d columns, and the first line %d; dump it with mysql --batch", t.file, i+1, len(fields), len(names))
		}
		for j := range fields {
			fields[j] = tsv.Replace(fields[j])
		}
		t.add(i+1, names, fields)
	}
	return nil
}

// readJSON reads an array of objects, or an object a line.
func (t *table) readJSON(text []byte) error {
	in := json.NewDecoder(bytes.NewReader(text))
	in.UseNumber()
	start := bytes.TrimSpace(text)
	list := len(start) > 0 && start[0] == '['
	if list {
		if _, err := in.Token(); err != nil {
			return fmt.Errorf("%s: is not JSON: %s", t.file, medispatcher.JSONProblem(err))
		}
	}
	for in.More() {
		rest := bytes.TrimLeft(text[in.InputOffset():], ", \t\r\n")
		at := len(text) - len(rest)
		line := 1 + bytes.Count(text[:at], []byte("\n"))
		var object map[string]any
		if err := in.Decode(&object); err != nil {
			return fmt.Errorf("%s:%d: is not a JSON object with the columns of a row: %s", t.file, line, medispatcher.JSONProblem(err))
		}
		values := map[string]string{}
		for name, v := range object {
			if v != nil {
				values[name] = fmt.Sprint(v)
			} else {
				values[name] = ""
			}
		}
		t.rows = append(t.rows, row{line, values})
	}
	if list {
		if end, err := in.Token(); err != nil || end != json.Delim(']') {
			return fmt.Errorf("%s: ends within the list of rows: the dump is cut", t.file)
		}
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s:%d: has more after its rows; dump the table as one list, or one row a line", t.file, 1+bytes.Count(text[:in.InputOffset()], []byte("\n")))
	}
	return nil
}

func (t *table) add(line int, names, fields []string) {
	values := make(map[string]string, len(names))
	for i, name := range names {
		if fields[i] != "NULL" && fields[i] != `\N` {
			values[name] = fields[i]
		} else {
			values[name] = ""
		}
	}
	t.rows = append(t.rows, row{line, values})
}

// byColumn are the rows by the value of a column.
func (t *table) byColumn(name string) map[string][]row {
	rows := map[string][]row{}
	for _, r := range t.rows {
		rows[r.values[name]] = append(rows[r.values[name]], r)
	}
	return rows
}

// truth are the ways in which a dump writes true.
var truth = []string{"1", "true", "TRUE", "True", "yes", "on"}

func isTrue(s string) bool { return slices.Contains(truth, s) }
