package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/solate/medispatcher"
)

// Line is one variable of a listing.
type Line struct {
	Name   string `json:"name"`
	Value  string `json:"value"` // secrets masked
	Source Source `json:"source"`
}

// List is every variable, the value that cfg has for it, and where that comes from. A value that could not be
// parsed is listed as it was written.
func (s *Settings) List(cfg *Config) []Line {
	var list []Line
	fields := reflect.ValueOf(cfg).Elem()
	for _, v := range variables() {
		value := format(fields.FieldByIndex(v.index).Interface())
		if s.unparsed[v.name] {
			value = s.values[v.name]
		}
		list = append(list, Line{v.name, v.show(value), s.Source(v.name)})
	}
	return list
}

func format(value any) string {
	switch value := value.(type) {
	case []string:
		return strings.Join(value, ",")
	case time.Duration:
		return medispatcher.ShortDuration(value)
	}
	return fmt.Sprint(value)
}
