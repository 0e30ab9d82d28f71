package filter

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"strconv"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/solate/medispatcher"
)

// subject is a message as expressions see it. All filters of a message share one, so its body is decoded once, and only if one of them looks at it.
type subject struct {
	message *medispatcher.Message
	decoded bool
	body    ref.Val
	headers ref.Val
}

// ResolveName is part of cel.Activation.
func (s *subject) ResolveName(name string) (any, bool) {
	switch name {
	case "topic":
		return s.message.Topic, true
	case "sender":
		return s.message.Sender, true
	case "key":
		return s.message.Key, true
	case "type":
		return s.message.Type, true
	case "headers":
		if s.headers == nil {
			s.headers = types.NewStringStringMap(adapter{}, s.message.Headers)
		}
		return s.headers, true
	case "body":
		if !s.decoded {
			s.body, s.decoded = decode(s.message.Body), true
		}
		return s.body, true
	}
	return nil, false
}

// Parent is part of cel.Activation.
func (s *subject) Parent() cel.Activation { return nil }

// decode reads a body. What is not JSON is null.
func decode(body []byte) ref.Val {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return types.NullValue
	}
	if _, err := d.Token(); err != io.EOF {
		return types.NullValue // more than one value
	}
	return adapter{}.NativeToValue(v)
}

// adapter makes values of CEL of what a decoder of JSON made, each when an expression looks at it.
type adapter struct{}

// NativeToValue is part of types.Adapter.
func (a adapter) NativeToValue(v any) ref.Val {
	switch v := v.(type) {
	case json.Number:
		return number(string(v))
	case map[string]any:
		return types.NewStringInterfaceMap(a, v)
	case []any:
		return types.NewDynamicList(a, v)
	}
	return types.DefaultTypeAdapter.NativeToValue(v)
}

// number is a double, as CEL has the numbers of JSON. A whole number that a double cannot hold is an int, or a uint if it is too large
// for that, so that ids compare exactly.
func number(text string) ref.Val {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		f = math.Inf(1) // larger than any double
		if text[0] == '-' {
			f = math.Inf(-1)
		}
	}
	if math.Abs(f) >= 1<<53 {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return types.Int(n)
		}
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			return types.Uint(n)
		}
	}
	return types.Double(f)
}
