package panel

import (
	"bytes"
	"container/list"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/solate/medispatcher/cmd/medispatcher/panel/problem"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/web"
)

const (
	// maxSigningIn bounds the forms of the sign-in that are read at once.
	maxSigningIn = 64
	// formWithin is how long one of them may take, restWithin how long the server waits for a body that nobody reads.
	formWithin, restWithin = 5 * time.Second, time.Second
)

// strangers bounds what requests without a token or a session hold: connections, which are files, and the dispatcher needs
// files to deliver. Their bodies are not waited for, but for the form of the sign-in. If too many of those are read, the one
// that began first is given up: whoever sends slowly keeps out nobody else.
type strangers struct {
	mu      sync.Mutex
	reading list.List // of *http.ResponseController
}

// admit takes care of the body of a stranger's request. It reports false if it has answered the request.
func (s *strangers) admit(w http.ResponseWriter, r *http.Request) bool {
	if r.ContentLength == 0 {
		return true
	}
	c := http.NewResponseController(w)
	if r.Method != http.MethodPost || r.URL.Path != web.SignInPath {
		w.Header().Set("Connection", "close")
		_ = c.SetReadDeadline(time.Now().Add(restWithin)) // without a connection, as in tests, nobody waits
		return true
	}
	form, err := s.read(c, http.MaxBytesReader(w, r.Body, web.MaxForm))
	if err != nil {
		w.Header().Set("Connection", "close")
		_ = c.SetReadDeadline(time.Now())
		problem.Write(w, problem.New(http.StatusRequestTimeout, "the form is not whole, or too long"))
		return false
	}
	_ = c.SetReadDeadline(time.Now().Add(bodyTimeout)) // else the answer to a wrong token could not be put off
	r.Body = io.NopCloser(bytes.NewReader(form))
	return true
}

func (s *strangers) read(c *http.ResponseController, body io.Reader) ([]byte, error) {
	s.mu.Lock()
	_ = c.SetReadDeadline(time.Now().Add(formWithin))
	at := s.reading.PushBack(c)
	if s.reading.Len() > maxSigningIn {
		first := s.reading.Remove(s.reading.Front()).(*http.ResponseController) //nolint:forcetypeassert // nothing else is in the list
		_ = first.SetReadDeadline(time.Now())
	}
	s.mu.Unlock()
	form, err := io.ReadAll(body)
	s.mu.Lock()
	s.reading.Remove(at)
	s.mu.Unlock()
	return form, err
}
