package outlet

import "time"

// work is what the writer does next. At most one of its fields is set.
type work struct {
	kept   []*kept
	line   *line
	probe  bool // write an empty line, to see whether an error is over
	reopen bool
	end    bool
	wait   time.Duration // until a line may be tried again; 0, and nothing else set: until something comes
}

// run writes until the outlet is closed.
func (o *Outlet) run() {
	defer close(o.ended)
	for {
		switch w := o.next(); {
		case w.end:
			if o.cfg.Close != nil {
				_ = o.cfg.Close() // every line is written, or is lost
			}
			return
		case w.kept != nil:
			o.writeKept(w.kept)
		case w.reopen:
			o.note(o.cfg.Reopen())
		case w.line != nil:
			o.writeLine(w.line)
		case w.probe:
			o.note(o.write([]byte{'\n'}))
		case w.wait > 0:
			timer := time.NewTimer(w.wait)
			select {
			case <-o.wake:
			case <-timer.C:
			}
			timer.Stop()
		default:
			<-o.wake
		}
	}
}

// next takes what is to be done from the queues.
func (o *Outlet) next() (w work) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case len(o.kept) > 0:
		w.kept, o.kept = o.kept, nil
		o.since = time.Now()
	case o.reopen:
		w.reopen, o.reopen = true, false
		o.since = time.Now()
	case o.closing && len(o.lines) == 0:
		w.end = true
	case o.problem != nil && !o.closing && time.Now().Before(o.retry):
		w.wait = max(time.Until(o.retry), time.Millisecond)
	case len(o.lines) > 0:
		l := o.lines[0]
		o.lines[0] = line{}
		o.lines = o.lines[1:]
		w.line = &l
		o.since = time.Now()
	case o.problem != nil: // a kept line failed, and there is no other line to try
		w.probe = true
		o.since = time.Now()
	}
	return w
}

// write writes a line, on a line of its own.
func (o *Outlet) write(text []byte) error {
	if o.torn {
		text = append([]byte{'\n'}, text...)
	}
	n, err := o.cfg.Write(text)
	o.torn = err != nil && (o.torn || n > 0)
	return err
}

// writeLine writes a line that nobody waits for. If it fails, the line is the first to be tried again.
func (o *Outlet) writeLine(l *line) {
	err := o.write(l.text)
	o.mu.Lock()
	switch {
	case err == nil:
		o.bytes -= len(l.text) + lineCost
	case o.closing: // Close does not wait for a disk to be emptied
		o.loseLocked(l.label)
		for _, rest := range o.lines {
			o.loseLocked(rest.label)
		}
		o.lines, o.bytes = nil, 0
	default:
		o.lines = append([]line{*l}, o.lines...)
	}
	o.mu.Unlock()
	o.note(err)
}

// writeKept writes lines that somebody waits for, and syncs them together.
func (o *Outlet) writeKept(list []*kept) {
	errs := make([]error, len(list))
	var failed error
	wrote := false
	for i, k := range list {
		errs[i] = o.write(k.text)
		if wrote = wrote || errs[i] == nil; errs[i] != nil {
			failed = errs[i]
		}
	}
	if wrote && o.cfg.Sync != nil {
		if err := o.cfg.Sync(); err != nil {
			failed = err
			for i := range errs {
				errs[i] = err
			}
		}
	}
	o.mu.Lock()
	for i, k := range list {
		o.bytes -= len(k.text) + lineCost
		if k.done == nil {
			continue // counted as lost when its time was over
		}
		if errs[i] != nil {
			o.loseLocked(k.label)
		}
		k.done <- errs[i]
	}
	o.mu.Unlock()
	o.note(failed)
}

// note records how a write ended, and calls Failing or Back if that changes the state.
func (o *Outlet) note(err error) {
	o.mu.Lock()
	o.since = time.Time{}
	before := o.problem
	o.problem = err
	var lost int64
	if err != nil {
		o.retry = time.Now().Add(o.back.Next())
	} else {
		o.back.Reset()
		// Back may write to this very log, so there must be room first.
		if len(o.lines) <= o.cfg.Lines/2 && o.bytes <= o.cfg.Bytes/2 {
			lost, o.untold = o.untold, 0
		}
	}
	o.mu.Unlock()
	if err != nil && before == nil && o.cfg.Failing != nil {
		o.cfg.Failing(err)
	}
	if lost > 0 && o.cfg.Back != nil {
		o.cfg.Back(lost)
	}
}
