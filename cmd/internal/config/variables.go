package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/solate/medispatcher"
)

// variable is what the tags of one field of Config say.
type variable struct {
	name, def, doc, secret string
	min, max               string
	oneof                  []string
	index                  []int // of the field
	kind                   reflect.Type
}

func variables() []variable {
	var vars []variable
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		if f.Anonymous { // its fields are visible too
			continue
		}
		v := variable{
			name: f.Tag.Get("env"), def: f.Tag.Get("envDefault"), doc: f.Tag.Get("doc"), secret: f.Tag.Get("secret"),
			min: f.Tag.Get("min"), max: f.Tag.Get("max"), index: f.Index, kind: f.Type,
		}
		if list := f.Tag.Get("oneof"); list != "" {
			v.oneof = strings.Split(list, ",")
		}
		vars = append(vars, v)
	}
	return vars
}

// want describes an allowed value.
func (v variable) want() string {
	switch {
	case v.oneof != nil:
		return "one of " + strings.Join(v.oneof, ", ")
	case v.kind == reflect.TypeFor[bool]():
		return "true or false"
	case v.kind == reflect.TypeFor[time.Duration]():
		return fmt.Sprintf("a duration from %s to %s, such as 500ms or 1m30s", v.min, v.max)
	case v.kind == reflect.TypeFor[medispatcher.Size]():
		return fmt.Sprintf("a size from %s to %s, such as 1048576, 512KiB or 1MiB", v.min, v.max)
	case v.min != "":
		return fmt.Sprintf("a whole number from %s to %s", v.min, v.max)
	}
	return ""
}

// within reports whether a parsed value keeps the limits of its tags.
func (v variable) within(value any) bool {
	switch value := value.(type) {
	case string:
		return v.oneof == nil || containsFold(v.oneof, value)
	case int:
		return between(v, int64(value), func(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) })
	case int64:
		return between(v, value, func(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) })
	case time.Duration:
		return between(v, value, time.ParseDuration)
	case medispatcher.Size:
		return between(v, value, func(s string) (n medispatcher.Size, err error) { return n, n.UnmarshalText([]byte(s)) })
	}
	return true
}

func between[T int64 | time.Duration | medispatcher.Size](v variable, value T, parse func(string) (T, error)) bool {
	low, errLow := parse(v.min)
	high, errHigh := parse(v.max)
	if errLow != nil || errHigh != nil {
		panic(v.name + " has no usable min and max")
	}
	return low <= value && value <= high
}

func containsFold(list []string, s string) bool {
	for _, item := range list {
		if strings.EqualFold(item, s) {
			return true
		}
	}
	return false
}

func variableNames() []string {
	var names []string
	for _, v := range variables() {
		names = append(names, v.name)
	}
	return names
}
