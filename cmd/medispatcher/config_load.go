package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/caarlos0/env/v10"
	"github.com/joho/godotenv"
)

const (
	envPrefix = "MEDIS_"
	// maxEnvFile keeps a mistaken -f /dev/zero from filling the memory.
	maxEnvFile = 1 << 20
)

// source says where a value comes from.
type source string

const (
	fromDefault source = "default"
	fromFile    source = "file"
	fromEnv     source = "env"
)

// settings are the variables as they were found, before they are parsed.
type settings struct {
	file     string            // name of the dotenv file, if any
	values   map[string]string // set and not empty; nil when the file cannot be read
	from     map[string]source
	unparsed map[string]bool // variables whose value is not of their kind
}

// findSettings lays the environment over a dotenv file, which may be "". An empty
// variable in the environment hides the file's and means the default, as it does in
// `docker run -e NAME=`.
func findSettings(environ []string, file string) (settings, error) {
	s := settings{file: file, values: map[string]string{}, from: map[string]source{}}
	if file != "" {
		values, err := readEnvFile(file)
		if err != nil {
			return settings{file: file}, err
		}
		for name, v := range values {
			s.set(name, v, fromFile)
		}
	}
	for _, kv := range environ {
		name, v, _ := strings.Cut(kv, "=")
		s.set(name, v, fromEnv)
	}
	return s, nil
}

func (s *settings) set(name, value string, from source) {
	if !strings.HasPrefix(name, envPrefix) {
		return
	}
	if value == "" {
		delete(s.values, name)
		delete(s.from, name)
		return
	}
	s.values[name], s.from[name] = value, from
}

// source is where the value of a variable comes from.
func (s *settings) source(name string) source {
	if from, ok := s.from[name]; ok {
		return from
	}
	return fromDefault
}

// readEnvFile reads a dotenv file into a map: loading it into the process would
// lose what was set by whom. Its errors name the line and never quote it, for it
// may hold a password.
func readEnvFile(name string) (map[string]string, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, configError{fmt.Sprintf("cannot read %s: %v", name, pathCause(err))}
	}
	defer func() { _ = f.Close() }()
	src, err := io.ReadAll(io.LimitReader(f, maxEnvFile+1))
	if err != nil {
		return nil, configError{fmt.Sprintf("cannot read %s: %v", name, pathCause(err))}
	}
	if len(src) > maxEnvFile {
		return nil, configError{fmt.Sprintf("%s is larger than %s; is it a file of NAME=value lines?", name, Size(maxEnvFile))}
	}
	values, err := parseEnv(src)
	if err == nil {
		return values, nil
	}
	problem := "is not NAME=value"
	if strings.HasPrefix(err.Error(), "unterminated") {
		problem = "opens a quote that is never closed"
	}
	return nil, configError{fmt.Sprintf("%s, line %d: %s", name, badLine(src), problem)}
}

func parseEnv(src []byte) (map[string]string, error) {
	values, err := godotenv.Parse(bytes.NewReader(src))
	if err == nil {
		if _, nameless := values[""]; nameless {
			return nil, errors.New("no name")
		}
	}
	return values, err
}

// badLine finds the line that cannot be parsed, which the parser does not tell: the
// first that no following lines complete.
func badLine(src []byte) int {
	const longest = 200 // lines of one quoted value, such as a certificate
	lines := bytes.SplitAfter(append(src, '\n'), []byte("\n"))
	for start := 0; start < len(lines); {
		end, parsed := start, false
		for !parsed && end < len(lines) && end-start < longest {
			end++
			_, err := parseEnv(bytes.Join(lines[start:end], nil))
			parsed = err == nil
		}
		if !parsed {
			return start + 1
		}
		start = end
	}
	return len(lines)
}

// pathCause is the error without the path, which the message names already.
func pathCause(err error) error {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		return path.Err
	}
	return err
}

// parse reads the settings into a Config. Variables that cannot be parsed are noted
// and keep their default, so that the other checks can still run.
func (s *settings) parse() (cfg Config) {
	s.unparsed = map[string]bool{}
	err := env.ParseWithOptions(&cfg, env.Options{Environment: s.values})
	var all env.AggregateError
	if !errors.As(err, &all) {
		return cfg
	}
	var defaults Config
	_ = env.ParseWithOptions(&defaults, env.Options{Environment: map[string]string{}})
	for _, err := range all.Errors {
		var parse env.ParseError
		if !errors.As(err, &parse) {
			panic(err) // a mistake in the tags
		}
		field, _ := reflect.TypeFor[Config]().FieldByName(parse.Name)
		s.unparsed[field.Tag.Get("env")] = true
		reflect.ValueOf(&cfg).Elem().FieldByName(parse.Name).Set(reflect.ValueOf(defaults).FieldByName(parse.Name))
	}
	return cfg
}

// warnUnknown names the variables that look like ours and are not. It is no error:
// Kubernetes injects names of its own for a service called medis.
func (s *settings) warnUnknown(log *slog.Logger) {
	known := variableNames()
	for _, name := range slices.Sorted(maps.Keys(s.values)) {
		if slices.Contains(known, name) {
			continue
		}
		hint := "medispatcher config lists all variables"
		if near := nearest(name, known); near != "" {
			hint = "did you mean " + near + "?"
		}
		log.Warn("unknown variable is ignored", "name", name, "from", string(s.from[name]), "hint", hint)
	}
}

func variableNames() []string {
	var names []string
	for _, v := range variables() {
		names = append(names, v.name)
	}
	return names
}
