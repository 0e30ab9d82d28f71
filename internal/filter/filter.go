// Package filter compiles the filters of subscriptions: expressions in CEL (cel.dev) over a message.
//
// An expression is bounded three times. Its length and its nesting are checked, and so is what it may cost by its shape.
// While it runs, what it does is counted, and it is ended at a limit. So no filter holds up the fan-out for long.
package filter

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"
	"weak"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"

	"github.com/solate/medispatcher"
)

const (
	// maxCost is what one filter may do at one message, in the units of CEL: one for each step, one for ten bytes of a text
	// that is searched. costs says what else counts.
	maxCost = 200_000
	// maxTime ends a filter that takes long in spite of its cost, because the machine is busy. It is looked at after so many rounds of a loop.
	maxTime    = time.Second
	checkEvery = 20
)

// Of is the filter of an expression. It is compiled at its first use, and once for all subscriptions that have the same
// one. It lives as long as somebody holds it.
func Of(expression string) medispatcher.Filter { return known.of(expression) }

// Check says what is wrong with an expression. The error is an Error, with the place.
func Check(expression string) error {
	_, err := known.of(expression).compiled()
	return err
}

// In are rules under which subscriptions may have filters.
func In(rules medispatcher.Rules) medispatcher.Rules {
	rules.CheckFilter, rules.Filter = Check, Of
	return rules
}

// program is a compiled expression, or why it cannot be compiled.
type program struct {
	expression string
	once       sync.Once
	run        cel.Program
	loops      bool
	err        error
}

func (p *program) compiled() (cel.Program, error) {
	p.once.Do(func() { p.run, p.loops, p.err = compile(p.expression) })
	return p.run, p.err
}

// Match is part of medispatcher.Filter.
func (p *program) Match(s *medispatcher.Subject) (bool, error) {
	run, err := p.compiled()
	if err != nil {
		return false, err
	}
	on, there := s.Cached.(*subject)
	if !there {
		on = &subject{message: s.Message}
		s.Cached = on
	}
	v, err := p.eval(run, on)
	if err != nil {
		return false, p.withoutValues(err)
	}
	yes, is := v.Value().(bool)
	if !is {
		return false, fmt.Errorf("gives a value of type %s, not true or false", v.Type().TypeName())
	}
	return yes, nil
}

// eval runs the expression. Only loops can take long, and a deadline costs as much as a short expression.
func (p *program) eval(run cel.Program, on *subject) (ref.Val, error) {
	if !p.loops {
		v, _, err := run.Eval(on)
		return v, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), maxTime)
	defer cancel()
	v, _, err := run.ContextEval(ctx, on)
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("takes longer than %s", maxTime)
	}
	return v, err
}

// withoutValues is an error without what stands in the message: it goes to the log. What the expression itself says is kept, such as
// the name of a field that is not there.
func (p *program) withoutValues(err error) error {
	if cancelled, is := errors.AsType[interpreter.EvalCancelledError](err); is && cancelled.Cause == interpreter.CostLimitExceeded {
		return errors.New("takes too much work")
	}
	text := err.Error()
	at := len(text)
	for _, mark := range []string{"\"", "`", ": ", " zone "} {
		if i := strings.Index(text, mark); i >= 0 {
			at = min(at, i+len(mark))
		}
	}
	if strings.Contains(p.expression, strings.Trim(text[at:], "\"`")) {
		return err
	}
	return errors.New(strings.TrimRight(text[:at], "\"`: "))
}

// programs are those in use, each once.
type programs struct {
	mu   sync.Mutex
	held map[string]weak.Pointer[program]
}

var known = programs{held: map[string]weak.Pointer[program]{}}

func (k *programs) of(expression string) *program {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p := k.held[expression].Value(); p != nil {
		return p
	}
	p := &program{expression: expression}
	k.held[expression] = weak.Make(p)
	runtime.AddCleanup(p, k.forget, expression)
	return p
}

func (k *programs) forget(expression string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.held[expression].Value() == nil { // else somebody asked for it meanwhile
		delete(k.held, expression)
	}
}
