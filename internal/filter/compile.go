package filter

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	syntax "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"

	"github.com/solate/medispatcher"
)

// maxNesting bounds how deep an expression is nested.
const maxNesting = 50

var environment = func() *cel.Env {
	env, err := cel.NewEnv(
		cel.OptionalTypes(),
		cel.CrossTypeNumericComparisons(true),
		cel.ParserRecursionLimit(maxNesting),
		cel.Variable("topic", cel.StringType),
		cel.Variable("sender", cel.StringType),
		cel.Variable("key", cel.StringType),
		cel.Variable("type", cel.StringType),
		cel.Variable("headers", cel.MapType(cel.StringType, cel.StringType)),
		cel.Variable("body", cel.DynType),
		cel.CustomTypeAdapter(adapter{}),
	)
	if err != nil {
		panic("filter: " + err.Error())
	}
	return env
}()

// Error is what is wrong with an expression, and where.
type Error struct {
	Line, Column int // from 1; 0: the whole expression is meant
	Problem      string
	Text         string // the line
}

// shown is how many characters of a line are shown on each side of the place.
const shown = 60

// Error has the line, and an arrow at the place.
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Problem
	}
	line, at := []rune(e.Text), e.Column-1
	from, to := max(0, at-shown), min(len(line), at+shown)
	return fmt.Sprintf("line %d, column %d: %s: %s", e.Line, e.Column, e.Problem, strings.TrimSpace(string(line[from:at])+"→"+string(line[at:to])))
}

// plain is an error of the parser without the names of its tokens.
func plain(problem string) string {
	problem = strings.TrimPrefix(problem, "Syntax error: ")
	if strings.Contains(problem, "'<EOF>'") {
		return "ends too early"
	}
	before, _, cut := strings.Cut(problem, " expecting ")
	for _, words := range []string{"mismatched input ", "extraneous input ", "no viable alternative at input ", "token recognition error at: "} {
		if what, ok := strings.CutPrefix(before, words); ok {
			return what + " does not belong here"
		}
	}
	if cut {
		return before
	}
	return problem
}

// compile checks an expression, and makes it ready to run. loops: it goes through a list.
func compile(expression string) (run cel.Program, loops bool, err error) {
	if len(expression) > medispatcher.MaxFilter {
		return nil, false, &Error{Problem: fmt.Sprintf("is %d bytes long; the limit is %d", len(expression), medispatcher.MaxFilter)}
	}
	if !utf8.ValidString(expression) {
		return nil, false, &Error{Problem: "is not UTF-8"}
	}
	ast, issues := environment.Compile(expression)
	if issues.Err() != nil {
		return nil, false, placed(expression, issues)
	}
	if out := ast.OutputType(); !out.IsExactType(cel.BoolType) && !out.IsExactType(cel.DynType) {
		return nil, false, &Error{Problem: fmt.Sprintf("gives a value of type %s, not true or false; compare it with something", cel.FormatCELType(out))}
	}
	estimate, err := environment.EstimateCost(ast, sizes{})
	if err != nil {
		return nil, false, &Error{Problem: err.Error()}
	}
	if estimate.Max > maxEstimate {
		return nil, false, &Error{Problem: "may take too long: it goes through lists inside of lists; use fewer of all, exists, exists_one, filter and map in each other"}
	}
	loops = len(syntax.MatchDescendants(syntax.NavigateAST(ast.NativeRep()), syntax.KindMatcher(syntax.ComprehensionKind))) > 0
	known := costs{}
	run, err = environment.Program(ast, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(maxCost), cel.CostTracking(known), cel.InterruptCheckFrequency(checkEvery),
		cel.CustomDecoratorV2(known.boundMatches), cel.OptimizeRegex(known.compiledOnce(overloads.Matches), known.compiledOnce(overloads.MatchesString)))
	if err != nil {
		return nil, false, &Error{Problem: err.Error()}
	}
	return run, loops, nil
}

// placed is the first issue, with its place.
func placed(expression string, issues *cel.Issues) error {
	first := issues.Errors()[0]
	e := &Error{Line: first.Location.Line(), Column: first.Location.Column() + 1, Problem: plain(first.Message)}
	lines := strings.Split(expression, "\n")
	if e.Line < 1 || e.Line > len(lines) || e.Column > utf8.RuneCountInString(lines[e.Line-1])+1 {
		e.Line = 0
		return e
	}
	e.Text = strings.ReplaceAll(lines[e.Line-1], "\t", " ")
	return e
}

const (
	// assumedSize is how many entries a list of a message is taken to have, and how many bytes a text, when the cost of an
	// expression is estimated. Larger ones run into maxCost.
	assumedSize = 100
	// maxEstimate lets two loops in each other pass, not three.
	maxEstimate = 1_000_000
)

// sizes estimates what depends on a message.
type sizes struct{}

// EstimateSize is part of cost.Estimator.
func (sizes) EstimateSize(node cost.AstNode) *cost.SizeEstimate {
	if len(node.Path()) == 0 && node.Type().Kind() != types.DynKind {
		return nil
	}
	return &cost.SizeEstimate{Min: 0, Max: assumedSize}
}

// EstimateCallCost is part of cost.Estimator.
func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}
