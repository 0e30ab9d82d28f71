package config

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/solate/medispatcher/cmd/internal/certs"
)

// fileSuffix ends the name of a variable that names a file with the value of another one.
const fileSuffix = "_FILE"

// secretFiles are the variables that name a file with a secret: one for each variable that may hold one.
func secretFiles() []string {
	var names []string
	for _, v := range variables() {
		if v.secret != "" {
			names = append(names, v.name+fileSuffix)
		}
	}
	return names
}

// readSecrets reads the files that such variables name, without the line end that editors and echo add. A file may hold
// several lines, such as MEDIS_TOKENS.
func (s *Settings) readSecrets() (problems Problems) {
	for _, file := range secretFiles() {
		path, set := s.values[file]
		if !set {
			continue
		}
		name := strings.TrimSuffix(file, fileSuffix)
		if s.values[name] != "" {
			problems = append(problems, Problem{file + "=" + path + " and " + name, "are both set; set one of them"})
			continue
		}
		raw, err := certs.Read(path)
		value := string(bytes.TrimRight(raw, "\r\n"))
		switch {
		case err != nil:
			problems = append(problems, Problem{file + "=" + path, fmt.Sprintf("%v", err)})
		case value == "":
			problems = append(problems, Problem{file + "=" + path, "is empty"})
		case strings.ContainsRune(value, 0):
			problems = append(problems, Problem{file + "=" + path, "is no text"})
		default:
			s.values[name], s.from[name] = value, FromSecret
		}
	}
	return problems
}
