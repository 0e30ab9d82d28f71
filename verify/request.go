package verify

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// Read reads the body of a push, at most MaxBody bytes, and checks it. The error is one of those of
// Check, ErrTooLarge, or that of the connection; Status says what to answer. Headers that cannot be
// good are refused before the body is read.
func (v *Verifier) Read(r *http.Request) ([]byte, error) {
	if _, err := v.signed(r.Header); err != nil {
		return nil, err
	}
	most := v.MaxBody
	if most == 0 {
		most = DefaultMaxBody
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, most))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, fmt.Errorf("verify: %w: it has more than %d bytes; raise MaxBody", ErrTooLarge, most)
	}
	if err != nil {
		return nil, fmt.Errorf("verify: cannot read the body: %w", err)
	}
	if err := v.Check(r.Header, body); err != nil {
		return nil, err // nobody uses a body that is not to be trusted by mistake
	}
	return body, nil
}

// Status is the HTTP status for an error of Read or Check. medispatcher tries again later: a secret may
// be on its way, or a clock wrong.
func Status(err error) int {
	switch {
	case err == nil:
		return http.StatusNoContent
	case errors.Is(err, ErrUnsigned), errors.Is(err, ErrTime), errors.Is(err, ErrSignature):
		return http.StatusUnauthorized
	case errors.Is(err, ErrTooLarge):
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}

// Handler passes good pushes on to next, whole, and answers the others with Status and the reason.
func (v *Verifier) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := v.Read(r)
		if err != nil {
			http.Error(w, err.Error(), Status(err))
			return
		}
		r2 := r.Clone(r.Context()) // a handler must not change the request that it got
		r2.Body, r2.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		next.ServeHTTP(w, r2)
	})
}
