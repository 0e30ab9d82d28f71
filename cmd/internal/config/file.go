package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/joho/godotenv"

	"github.com/solate/medispatcher"
)

// maxEnvFile keeps a mistaken -f /dev/zero from filling the memory.
const maxEnvFile = 1 << 20

// readEnvFile reads a dotenv file into a map: loading it into the process would lose where a value comes from. Its
// errors give the number of the wrong line and never quote it, because it may hold a password.
func readEnvFile(name string) (map[string]string, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, unreadable(name, err)
	}
	defer func() { _ = f.Close() }()
	src, err := io.ReadAll(io.LimitReader(f, maxEnvFile+1))
	if err != nil {
		return nil, unreadable(name, err)
	}
	if len(src) > maxEnvFile {
		return nil, Problems{{Seen: fmt.Sprintf("%s is larger than %s; is it a file of NAME=value lines?", name, medispatcher.Size(maxEnvFile))}}
	}
	src = WithoutMark(src)
	values, ok := parseEnv(src)
	if ok {
		return values, nil
	}
	n, line := badLine(src)
	problem := "is not NAME=value"
	if opensQuote.Match(line) {
		problem = "opens a quote that is never closed"
	}
	return nil, Problems{{Seen: fmt.Sprintf("%s, line %d", name, n), Do: problem}}
}

func unreadable(name string, err error) error {
	return Problems{{Seen: "cannot read " + name, Do: WithoutPath(err).Error()}}
}

// WithoutMark is the text of a file without the byte order mark that some editors begin it with.
func WithoutMark(text []byte) []byte { return bytes.TrimPrefix(text, []byte("\ufeff")) }

// WithoutPath is an error of a file without its path, for a text that names the path already.
func WithoutPath(err error) error {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		return path.Err
	}
	return err
}

// parseEnv parses a dotenv file. The error of the parser is not used: it quotes the file.
func parseEnv(src []byte) (values map[string]string, ok bool) {
	values, err := godotenv.Parse(bytes.NewReader(src))
	_, nameless := values[""]
	return values, err == nil && !nameless
}

// plainValue matches a value that needs no quotes in a dotenv file.
var plainValue = regexp.MustCompile(`^[A-Za-z0-9_./:@%+,=?&~\[\]-]*$`)

// EnvLine is the line of a dotenv file that sets a variable to any value. The parser loses quotes and
// backslashes at the ends of a quoted value, so a value with both kinds of quotes takes them from variables.
func EnvLine(name, value string) string {
	switch {
	case plainValue.MatchString(value):
		return name + "=" + value + "\n"
	case !strings.ContainsAny(value, "'\\\n\r"):
		return name + "='" + value + "'\n"
	}
	line := strings.NewReplacer(`\`, "${BACKSLASH}", `"`, "${QUOTE}", "$", `\$`, "\n", `\n`, "\r", `\r`).Replace(value)
	line = name + `="` + line + "\"\n"
	if strings.ContainsAny(value, "\"\\") {
		line = "QUOTE='\"'\nBACKSLASH=\\\n" + line
	}
	return line
}

// opensQuote matches a line with a name that the parser accepts and a quoted value. Such a line can
// only be wrong because the quote does not end.
var opensQuote = regexp.MustCompile(`^[\pL\pN_.\s]*[=:]\s*['"]`)

// badLine finds the line that cannot be parsed, because the parser does not name it. It is the first line that no
// following lines complete.
func badLine(src []byte) (n int, line []byte) {
	const longest = 200 // lines of one quoted value, such as a certificate
	lines := bytes.SplitAfter(append(src, '\n'), []byte("\n"))
	for start := 0; start < len(lines); {
		end, parsed := start, false
		for !parsed && end < len(lines) && end-start < longest {
			end++
			_, parsed = parseEnv(bytes.Join(lines[start:end], nil))
		}
		if !parsed {
			return start + 1, lines[start]
		}
		start = end
	}
	return len(lines), nil
}
