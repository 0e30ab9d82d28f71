package filter

import (
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// costs adds to the costs of CEL what it takes for free: texts and lists are as large as a publisher makes them. It
// holds the sizes of the patterns that stand in the expression.
type costs map[string]int

const (
	// stepsForOne, entriesForOne and bytesForOne are what one unit of cost pays for: steps of a pattern, entries of a list that are
	// compared, and bytes of a text that are looked at or copied as a whole.
	stepsForOne   = 320
	entriesForOne = 10
	bytesForOne   = 100
)

// CallCost is part of cost.ActualCostEstimator. nil: what CEL says.
func (c costs) CallCost(function, _ string, args []ref.Val, result ref.Val) *uint64 {
	n := 0
	switch function {
	case operators.Add: // each text could be twice the one before
		n = bytesOf(result) / 10
	case operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		n = min(bytesOf(args[0]), bytesOf(args[1])) / 10
	case operators.Equals, operators.NotEquals:
		if size := length(args[0]); size > 0 && size == length(args[1]) {
			n = entries(args[0], maxCost*entriesForOne) / entriesForOne
		}
	case operators.In:
		if list, is := args[1].(traits.Lister); is {
			if n = length(list); length(args[0]) > 0 { // it is compared with each of them
				n = entries(list, maxCost*entriesForOne)
			}
			n /= entriesForOne
		}
	case overloads.Matches:
		n = c.steps(args) / stepsForOne
	case overloads.Contains: // CEL counts it
	default:
		for _, a := range args {
			n += bytesOf(a) / bytesForOne
		}
	}
	if n <= 0 {
		return nil
	}
	cost := uint64(n) + 1
	return &cost
}

func bytesOf(v ref.Val) int {
	switch v := v.(type) {
	case types.String:
		return len(v)
	case types.Bytes:
		return len(v)
	}
	return 0
}

// length is how many entries a list or a map has.
func length(v ref.Val) int {
	if _, is := v.(traits.Foldable); !is {
		return 0
	}
	n, _ := v.(traits.Sizer).Size().(types.Int)
	return int(n)
}

// entries counts what a list or a map holds at every depth, up to about a limit.
func entries(v any, limit int) int {
	n := 1
	switch v := v.(type) {
	case string:
		n += len(v) / bytesForOne
	case []any:
		for i := 0; i < len(v) && n < limit; i++ {
			n += entries(v[i], limit-n)
		}
	case map[string]any:
		for _, e := range v {
			if n += entries(e, limit-n); n >= limit {
				break
			}
		}
	case []ref.Val:
		for i := 0; i < len(v) && n < limit; i++ {
			n += entries(v[i].Value(), limit-n)
		}
	case map[ref.Val]ref.Val:
		for _, e := range v {
			if n += entries(e.Value(), limit-n); n >= limit {
				break
			}
		}
	case ref.Val:
		return entries(v.Value(), limit)
	}
	return n
}
