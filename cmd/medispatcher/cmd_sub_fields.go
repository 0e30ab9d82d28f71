package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/pflag"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/alert"
)

// subFlag is the flag of a field of a subscription. It keeps the text: the value is checked together with all
// other fields.
type subFlag struct {
	field  medispatcher.Field
	values []string
}

func (f *subFlag) String() string { return strings.Join(f.values, ",") }

// Set keeps a value beside those before it, where the flag may be repeated.
func (f *subFlag) Set(s string) error {
	if !utf8.ValidString(s) {
		return errors.New("it is not UTF-8")
	}
	if !f.repeats() {
		f.values = nil
	}
	f.values = append(f.values, s)
	return nil
}

// Type is what the value is called in the help; a bool needs none.
func (f *subFlag) Type() string {
	if f.field.Kind == medispatcher.KindBool {
		return "bool"
	}
	return f.field.Arg
}

func (f *subFlag) repeats() bool {
	return f.field.Kind == medispatcher.KindList || f.field.Kind == medispatcher.KindHeaders
}

// usage is the first sentence of the field's help, as the help of flags is written.
func (f *subFlag) usage() string {
	help, _, _ := strings.Cut(f.field.Help, ". ")
	help = strings.ToLower(help[:1]) + strings.TrimSuffix(help[1:], ".")
	switch {
	case f.repeats():
		help += "; may be repeated"
	case f.field.Secret:
		help += "; others can see it in ps, which --file - avoids"
	}
	return help
}

// addSubFlags adds the flags of all fields that have one.
func addSubFlags(flags *pflag.FlagSet) {
	for _, field := range medispatcher.Fields() {
		if field.Flag == "" {
			continue
		}
		f := &subFlag{field: field}
		flags.Var(f, field.Flag, f.usage())
		if field.Kind == medispatcher.KindBool {
			flags.Lookup(field.Flag).NoOptDefVal = "true"
		}
	}
}

// patch is a subscription document, or a part of one, under construction.
type patch map[string]any

// setFlags puts what the flags say into the document.
func (p patch) setFlags(flags *pflag.FlagSet) (problems medispatcher.Problems, err error) {
	flags.Visit(func(flag *pflag.Flag) {
		f, ok := flag.Value.(*subFlag)
		switch {
		case !ok:
		case f.field.Kind == medispatcher.KindHeaders:
			p[f.field.Name], err = parseHeaders(f.values)
		case f.repeats(): // one flag is one entry, commas and all; durations hold none
			values := f.values
			if _, durations := f.field.Value(&medispatcher.Subscription{}).([]medispatcher.Duration); durations {
				values = strings.Split(f.String(), ",")
			}
			list, _ := json.Marshal(values)
			collect(&problems, p.set(f.field.Name, string(list)))
		default:
			collect(&problems, p.set(f.field.Name, f.String()))
		}
	})
	return problems, err
}

// set puts the value of text where a dotted name says. The error is Problems.
func (p patch) set(name, text string) error {
	into, last := p, name
	f, known := medispatcher.FieldNamed(name)
	if parent, rest, nested := strings.Cut(name, "."); nested && rest != "" {
		if outer, _ := medispatcher.FieldNamed(parent); outer.Kind == medispatcher.KindHeaders {
			f, known = medispatcher.Field{Name: name, Kind: medispatcher.KindText, Flag: outer.Flag}, true // any name
		}
		if known {
			if p[parent] == nil {
				p[parent] = patch{}
			}
			inner, ok := p[parent].(patch)
			if !ok {
				return fieldError(name, parent+" is given as a whole, too; choose one")
			}
			into, last = inner, rest
		}
	}
	if !utf8.ValidString(text) {
		return fieldError(name, "is not UTF-8")
	}
	if !known {
		return fieldError(name, "is not a field of a subscription; "+fieldHint(name))
	}
	if _, twice := into[last]; twice {
		return fieldError(name, "is given twice")
	}
	v, err := valueOf(f, text)
	into[last] = v
	return err
}

// valueOf reads text the way the field wants it. An empty text, or null, means the default.
func valueOf(f medispatcher.Field, text string) (any, error) {
	if text == "" || text == "null" {
		return nil, nil
	}
	raw := json.RawMessage(text)
	switch f.Kind {
	case medispatcher.KindNumber:
		if _, err := strconv.Atoi(text); err != nil {
			return nil, fieldError(f.Name, strconv.QuoteToASCII(text)+" is not a whole number")
		}
		return raw, nil
	case medispatcher.KindBool:
		if text != "true" && text != "false" {
			return nil, fieldError(f.Name, strconv.QuoteToASCII(text)+" is not true or false")
		}
		return raw, nil
	case medispatcher.KindList:
		if text[0] == '[' && json.Valid(raw) {
			return raw, nil
		}
		if f.Name == "alert.urls" {
			return alert.SplitURLs(text), nil // URLs that hold commas
		}
		list := strings.Split(text, ",")
		for i := range list {
			list[i] = strings.TrimSpace(list[i])
		}
		return list, nil
	case medispatcher.KindHeaders, medispatcher.KindObject:
		if text[0] == '{' && json.Valid(raw) {
			return raw, nil
		}
		return nil, fieldError(f.Name, fmt.Sprintf("write %s.NAME=VALUE, or a JSON object", f.Name))
	case medispatcher.KindText, medispatcher.KindDuration, medispatcher.KindSize:
		if f.Flag == "" {
			return nil, fieldError(f.Name, "cannot be changed; put a new subscription and remove this one")
		}
		if text[0] == '"' && json.Valid(raw) {
			return raw, nil
		}
	}
	return text, nil
}

func fieldError(name, problem string) error {
	return medispatcher.Problems{{Field: name, Problem: problem}}
}

func fieldHint(name string) string {
	var names []string
	for _, f := range medispatcher.Fields() {
		names = append(names, f.Name)
	}
	return medispatcher.DidYouMean(strings.ReplaceAll(name, "-", "_"), names, "medispatcher sub put --help names them")
}
