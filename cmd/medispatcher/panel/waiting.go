package panel

import (
	"container/list"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// maxWaiting bounds the connections that wait for a request, or for the rest of its header.
const maxWaiting = 1000

// waiting are the connections of a server that wait for a request. If there are too many, the one that waits longest is closed: an idle client
// connects again, and whoever opens connections and says nothing keeps out nobody else.
type waiting struct {
	most int

	mu   sync.Mutex
	list list.List // of net.Conn, the one that waits longest first
	at   map[net.Conn]*list.Element
}

func newWaiting(most int) *waiting {
	return &waiting{most: most, at: map[net.Conn]*list.Element{}}
}

// note is http.Server.ConnState. A connection becomes active when the header of a request is whole.
func (w *waiting) note(c net.Conn, state http.ConnState) {
	w.mu.Lock()
	w.removeLocked(c)
	var longest net.Conn
	if state == http.StateNew || state == http.StateIdle {
		w.at[c] = w.list.PushBack(c)
		if w.list.Len() > w.most {
			longest = w.list.Front().Value.(net.Conn) //nolint:forcetypeassert // nothing else is in the list
			w.removeLocked(longest)
		}
	}
	w.mu.Unlock()
	if secure, is := longest.(*tls.Conn); is {
		longest = secure.NetConn() // it would wait for a farewell
	}
	if longest != nil {
		_ = longest.Close()
	}
}

func (w *waiting) removeLocked(c net.Conn) {
	if e := w.at[c]; e != nil {
		w.list.Remove(e)
		delete(w.at, c)
	}
}
