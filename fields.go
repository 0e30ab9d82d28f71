package medispatcher

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind says how the value of a field is written in JSON.
type Kind int

// The kinds of fields.
const (
	KindText     Kind = iota // a string
	KindNumber               // a whole number
	KindBool                 // true or false
	KindDuration             // a string such as "1m30s"
	KindList                 // strings
	KindHeaders              // an object of strings, by name
	KindObject               // an object with fields of its own
	KindSize                 // a string such as "1MiB"
)

// Field is a field of a subscription, as the tags of its struct declare it.
type Field struct {
	Name    string   // json: dotted for nested fields, "drop.action"
	Kind    Kind     // of its type
	Schema  string   // of an object: the name of its type
	Help    string   // help: sentences; the first says enough where there is room for one
	Label   string   // label: in the form
	Group   string   // group: the part of the form that has it
	Flag    string   // flag: of sub put, "max-retries=N"; empty: it has none
	Arg     string   // what the value of the flag is called
	Choices []string // oneof: joined by commas
	Example string   // example: of a list, of one entry
	Pattern string   // pattern: of a text
	Env     string   // env: the variable with its default
	Default string   // default: where no variable sets another; empty: it has none
	MaxEnv  string   // maxenv: the variable with its maximum, which Rules.Max has

	Required bool // required
	Secret   bool // secret: it is never shown

	low, high int64 // min, max: of a number, duration or size, of the entries of a list, of the bytes of a text
	omitEmpty bool
	index     []int // in the struct
}

// fields are those of a subscription in the order of its struct, an object before its own fields.
var fields = fieldsOf(reflect.TypeFor[Subscription](), "", nil)

// Fields are the fields of a subscription, an object before its own fields.
func Fields() []Field { return slices.Clone(fields) }

// FieldNamed finds a field by its dotted name.
func FieldNamed(name string) (f Field, known bool) {
	if i := slices.IndexFunc(fields, func(f Field) bool { return f.Name == name }); i >= 0 {
		return fields[i], true
	}
	return Field{}, false
}

func fieldsOf(t reflect.Type, prefix string, index []int) (list []Field) {
	for sf := range t.Fields() {
		name, options, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		tag := sf.Tag.Get
		f := Field{
			Name: prefix + name, Kind: kindOf(sf.Type), Help: tag("help"), Label: tag("label"), Group: tag("group"),
			Example: tag("example"), Pattern: tag("pattern"), Env: tag("env"), MaxEnv: tag("maxenv"),
			Required: tag("required") == "true", Secret: tag("secret") == "true",
			Default: tag("default"), omitEmpty: options == "omitempty", index: append(slices.Clone(index), sf.Index...),
			low: math.MinInt64, high: math.MaxInt64,
		}
		f.Flag, f.Arg, _ = strings.Cut(tag("flag"), "=")
		if choices := tag("oneof"); choices != "" {
			f.Choices = strings.Split(choices, ",")
		}
		if low := tag("min"); low != "" {
			f.low = f.bound(low)
		}
		if high := tag("max"); high != "" {
			f.high = f.bound(high)
		}
		list = append(list, f)
		if f.Kind == KindObject {
			list[len(list)-1].Schema = sf.Type.Name()
			list = append(list, fieldsOf(sf.Type, f.Name+".", f.index)...)
		}
	}
	return list
}

func kindOf(t reflect.Type) Kind {
	switch {
	case t == reflect.TypeFor[Duration]():
		return KindDuration
	case t == reflect.TypeFor[Size]():
		return KindSize
	case t.Kind() == reflect.String:
		return KindText
	case t.Kind() == reflect.Int:
		return KindNumber
	case t.Kind() == reflect.Bool:
		return KindBool
	case t.Kind() == reflect.Slice && slices.Contains([]Kind{KindText, KindDuration}, kindOf(t.Elem())):
		return KindList
	case t.Kind() == reflect.Map && t.Elem().Kind() == reflect.String:
		return KindHeaders
	case t.Kind() == reflect.Struct:
		return KindObject
	}
	panic("medispatcher: a subscription cannot hold a " + t.String())
}

// bound reads a min or max tag.
func (f Field) bound(text string) int64 {
	var n int64
	var err error
	switch f.Kind {
	case KindDuration:
		var d time.Duration
		d, err = time.ParseDuration(text)
		n = int64(d)
	case KindSize:
		err = (*Size)(&n).UnmarshalText([]byte(text))
	default:
		n, err = strconv.ParseInt(text, 10, 64)
	}
	if err != nil {
		panic("medispatcher: field " + f.Name + ": " + err.Error())
	}
	return n
}

// Value is the field's value in a subscription: a string, int, bool, Duration, Size, list, map or struct.
func (f Field) Value(s *Subscription) any {
	return f.value(s).Interface()
}

// value is the field in a subscription: it can be set.
func (f Field) value(s *Subscription) reflect.Value {
	return reflect.ValueOf(s).Elem().FieldByIndex(f.index)
}

// setDefault gives the field the value that it has where no variable sets another.
func (f Field) setDefault(s *Subscription) {
	raw := f.Default
	switch {
	case raw == "":
		return
	case f.Kind == KindText || f.Kind == KindDuration || f.Kind == KindSize:
		raw = strconv.Quote(raw)
	}
	if err := json.Unmarshal([]byte(raw), f.value(s).Addr().Interface()); err != nil {
		panic("medispatcher: field " + f.Name + ": " + err.Error())
	}
}

// own gives a subscription a list or a map of its own, empty where it has none.
func (f Field) own(s *Subscription) {
	v := f.value(s)
	switch f.Kind { //nolint:exhaustive // the others share nothing
	case KindList:
		v.Set(reflect.AppendSlice(reflect.MakeSlice(v.Type(), 0, v.Len()), v))
	case KindHeaders:
		m := reflect.MakeMap(v.Type())
		for name, value := range v.Seq2() {
			m.SetMapIndex(name, value)
		}
		v.Set(m)
	}
}

// Show writes a number of the field as the field is written.
func (f Field) Show(n int64) string {
	switch f.Kind { //nolint:exhaustive // the others are plain numbers
	case KindDuration:
		return ShortDuration(time.Duration(n))
	case KindSize:
		return Size(n).String()
	}
	return strconv.FormatInt(n, 10)
}

// number is the value of a number, duration or size; ok is false for other kinds.
func (f Field) number(s *Subscription) (n int64, ok bool) {
	if f.Kind != KindNumber && f.Kind != KindDuration && f.Kind != KindSize {
		return 0, false
	}
	return f.value(s).Int(), true
}

func (f Field) setNumber(s *Subscription, n int64) {
	f.value(s).SetInt(n)
}
