package config

import (
	"errors"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/caarlos0/env/v10"

	"github.com/solate/medispatcher"
)

const envPrefix = "MEDIS_"

// Load finds, parses and checks the configuration. environ has the form of os.Environ; file is the name of a
// dotenv file, or "". An error of type Problems names every wrong value. The Config can still be shown then, and
// with the Settings that it was made from. They are nil when the file cannot be read.
func Load(environ []string, file string, n Needs) (Config, *Settings, error) {
	s, err := find(environ, file)
	if err != nil {
		return Config{}, nil, err
	}
	unread := s.readSecrets()
	cfg := s.parse()
	c := checker{cfg: &cfg, settings: s, bad: maps.Clone(s.unparsed), problems: unread}
	c.values()
	c.conflicts(n)
	c.redis(n)
	c.certificates(n)
	if len(c.problems) > 0 {
		return cfg, s, c.problems
	}
	return cfg, s, nil
}

// Source says where a value comes from.
type Source string

// The sources.
const (
	FromDefault Source = "default"
	FromFile    Source = "file"
	FromSecret  Source = "secret file" // named by NAME_FILE
	FromEnv     Source = "env"
)

// Settings are the variables as they were found, before they are parsed.
type Settings struct {
	file     string            // name of the dotenv file, if any
	values   map[string]string // set and not empty
	from     map[string]Source
	unparsed map[string]bool // variables whose value is not of their kind
}

// find lays the environment over a dotenv file, which may be "". An empty variable in the environment hides the
// one in the file and means the default, as it does in `docker run -e NAME=`.
func find(environ []string, file string) (*Settings, error) {
	s := &Settings{file: file, values: map[string]string{}, from: map[string]Source{}}
	if file != "" {
		values, err := readEnvFile(file)
		if err != nil {
			return nil, err
		}
		for name, v := range values {
			s.set(name, v, FromFile)
		}
	}
	for _, kv := range environ {
		name, v, _ := strings.Cut(kv, "=")
		s.set(name, v, FromEnv)
	}
	return s, nil
}

func (s *Settings) set(name, value string, from Source) {
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

// Source is where the value of a variable comes from.
func (s *Settings) Source(name string) Source {
	if from, ok := s.from[name]; ok {
		return from
	}
	return FromDefault
}

// parse reads the settings into a Config. Variables that cannot be parsed are noted
// and keep their default, so that the other checks can still run.
func (s *Settings) parse() (cfg Config) {
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
			panic(err) // the tags are wrong
		}
		field, _ := reflect.TypeFor[Config]().FieldByName(parse.Name)
		s.unparsed[field.Tag.Get("env")] = true
		reflect.ValueOf(&cfg).Elem().FieldByName(parse.Name).Set(reflect.ValueOf(defaults).FieldByName(parse.Name))
	}
	return cfg
}

// WarnUnknown names the variables that look like ours but are not. They are no error:
// Kubernetes injects names of its own for a service called medis.
func (s *Settings) WarnUnknown(log *slog.Logger) {
	known := append(variableNames(), secretFiles()...)
	for _, name := range slices.Sorted(maps.Keys(s.values)) {
		if slices.Contains(known, name) {
			continue
		}
		hint := medispatcher.DidYouMean(name, known, "medispatcher config lists all variables")
		log.Warn("unknown variable is ignored", "name", name, "from", string(s.from[name]), "hint", hint)
	}
}
