package medispatcher

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// JSONProblem is an error of encoding/json in the words of who wrote the text: those of Go name its types.
func JSONProblem(err error) string {
	if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		is, _, _ := strings.Cut(kind.Value, " ") // "number 1.5"
		if kind.Field == "" {
			return "it is a JSON " + is
		}
		return fmt.Sprintf("%s is a JSON %s, not %s", kind.Field, is, jsonKind(kind.Type))
	}
	syntax, bad := errors.AsType[*json.SyntaxError](err)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), bad && strings.HasPrefix(syntax.Error(), "unexpected end"):
		return "it ends too early"
	case bad:
		return fmt.Sprintf("%v, at byte %d", syntax, syntax.Offset)
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// jsonKind is what a type is in JSON.
func jsonKind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return jsonKind(t.Elem())
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "an object"
	case reflect.Float32, reflect.Float64:
		return "a number"
	default:
		return "a whole number"
	}
}
