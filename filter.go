package medispatcher

// MaxFilter bounds the expression of a filter, in bytes.
var MaxFilter = func() int { f, _ := FieldNamed("filter"); return int(f.high) }()

// Filter says which messages of its topic a subscription wants. Filters that are equal mean the same.
type Filter interface {
	// Match reports whether the subscription wants a message. An error means that the filter cannot tell.
	Match(s *Subject) (bool, error)
}

// Subject is one message and what its filters make of it. It is for one goroutine.
type Subject struct {
	Message *Message
	Cached  any // what filters share: the decoded body, for example
}

// Wanted are the subscriptions that want a topic. Nobody may change the slices.
type Wanted struct {
	IDs     []string // sorted
	Filters []Filter // of each, nil for one that wants all; nil: nobody filters
}

func (w Wanted) filter(i int) Filter {
	if w.Filters == nil {
		return nil
	}
	return w.Filters[i]
}

// add appends a subscription.
func (w *Wanted) add(id string, f Filter) {
	w.IDs = append(w.IDs, id)
	if f != nil && w.Filters == nil {
		w.Filters = make([]Filter, len(w.IDs)-1, cap(w.IDs))
	}
	if w.Filters != nil {
		w.Filters = append(w.Filters, f)
	}
}

// Verdict says what the filter of a subscription makes of a message.
type Verdict uint8

// The verdicts.
const (
	Matched   Verdict = iota // it is copied: there is no filter, or the filter matches
	Filtered                 // it is not copied
	Undecided                // it is copied: the filter failed
)

// Verdicts asks the filters, each once, and says which subscriptions get the message. failed is told of each that fails.
// verdicts are in the order of the ids; nil: nobody filters.
func (w Wanted) Verdicts(m *Message, failed func(id string, err error)) (ids []string, verdicts []Verdict) {
	if w.Filters == nil {
		return w.IDs, nil
	}
	type answer struct {
		verdict Verdict
		err     error
	}
	on := Subject{Message: m}
	asked := make(map[Filter]answer)
	verdicts = make([]Verdict, len(w.IDs))
	var last Filter
	var a answer
	for i, f := range w.Filters {
		if f == nil {
			ids = append(ids, w.IDs[i])
			continue
		}
		if f != last {
			known := false
			if a, known = asked[f]; !known {
				match, err := ask(f, &on)
				switch {
				case err != nil:
					a = answer{Undecided, err}
				case match:
					a = answer{}
				default:
					a = answer{verdict: Filtered}
				}
				asked[f] = a
			}
			last = f
		}
		if verdicts[i] = a.verdict; a.verdict != Filtered {
			ids = append(ids, w.IDs[i])
		}
		if a.err != nil {
			failed(w.IDs[i], a.err)
		}
	}
	return ids, verdicts
}

// ask has a panic cost one filter its say, not everybody the message.
func ask(f Filter, s *Subject) (match bool, err error) {
	if p := Guard(func() { match, err = f.Match(s) }); p != nil {
		return false, p
	}
	return match, err
}
