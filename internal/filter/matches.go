package filter

import (
	"regexp"
	"regexp/syntax"

	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// The time of matches is the length of the text times the size of the pattern, and {900} makes a short pattern large. CEL
// counts what it costs afterwards, and by the pattern's length. So matches is bounded here, before it begins.

const (
	// maxSteps bounds one call: some 80 ms.
	maxSteps = maxCost * stepsForOne
	// extra is what a pattern costs for a short text, too: it is made ready.
	extra = 100
)

var errSteps = types.NewErr("matches may take too long: the text and the pattern are too large together")

// compiledOnce makes a pattern that stands in the expression ready, and notes its size.
func (c costs) compiledOnce(overload string) *interpreter.RegexOptimization {
	return &interpreter.RegexOptimization{
		Function: overloads.Matches, OverloadID: overload, RegexIndex: 1,
		Factory: func(call interpreter.InterpretableCall, pattern string) (interpreter.InterpretableCall, error) {
			re, err := regexp.Compile(pattern)
			if err != nil {
				return nil, err
			}
			c[pattern] = size(pattern)
			return c.bounded(call, func(text types.String, _ ref.Val) ref.Val { return types.Bool(re.MatchString(string(text))) }), nil
		},
	}
}

// boundMatches bounds the calls whose pattern comes from a message. compiledOnce replaces the others afterwards.
func (c costs) boundMatches(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	call, is := i.(interpreter.InterpretableCall)
	if !is || call.Function() != overloads.Matches {
		return i, nil
	}
	return c.bounded(call, func(text types.String, pattern ref.Val) ref.Val { return text.Match(pattern) }), nil
}

// bounded is a call of matches that is refused if it may take too long.
func (c costs) bounded(call interpreter.InterpretableCall, match func(text types.String, pattern ref.Val) ref.Val) interpreter.InterpretableCall {
	return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), call.Args(), func(args ...ref.Val) ref.Val {
		text, is := args[0].(types.String)
		if !is {
			return types.MaybeNoSuchOverloadErr(args[0])
		}
		if c.steps(args) > maxSteps {
			return errSteps
		}
		return match(text, args[1])
	})
}

// steps are what matches takes at most.
func (c costs) steps(args []ref.Val) int {
	if len(args) != 2 {
		return 0
	}
	text, _ := args[0].(types.String)
	pattern, _ := args[1].(types.String)
	each := len(text) + extra
	n, known := c[string(pattern)]
	if !known {
		if n = len(pattern); n <= maxSteps/each {
			n = size(string(pattern))
		}
	}
	if n > maxSteps/each {
		return maxSteps + stepsForOne
	}
	return n * each
}

// size is about how many instructions a pattern has once it is compiled.
func size(pattern string) int {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0
	}
	return instructions(re)
}

func instructions(re *syntax.Regexp) int {
	n := max(1, len(re.Rune))
	if re.Op == syntax.OpCharClass {
		n = 1
	}
	for _, sub := range re.Sub {
		n += instructions(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(1, re.Min, re.Max)
	}
	return n
}
