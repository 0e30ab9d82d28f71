package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/valyala/fasthttp"
)

// post makes a request and says whether it was accepted.
type post func(url string, body []byte) error

// netHTTP posts by the client of the standard library. Without room for idle connections it would open
// a new one for most requests.
func netHTTP(conns int, timeout time.Duration) post {
	client := &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: conns, MaxIdleConns: conns},
		Timeout:   timeout,
	}
	return func(url string, body []byte) error {
		resp, err := client.Post(url, "application/json", bytes.NewReader(body))
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
		if resp.StatusCode/100 != 2 {
			return fmt.Errorf("status %d", resp.StatusCode)
		}
		return nil
	}
}

// fastHTTP posts by fasthttp, as its own examples do.
func fastHTTP(conns int, timeout time.Duration) post {
	client := &fasthttp.Client{MaxConnsPerHost: conns, ReadTimeout: timeout, WriteTimeout: timeout}
	return func(url string, body []byte) error {
		req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
		defer fasthttp.ReleaseRequest(req)
		defer fasthttp.ReleaseResponse(resp)
		req.SetRequestURI(url)
		req.Header.SetMethod(fasthttp.MethodPost)
		req.Header.SetContentType("application/json")
		req.SetBodyRaw(body)
		if err := client.DoTimeout(req, resp, timeout); err != nil {
			return err
		}
		if code := resp.StatusCode(); code/100 != 2 {
			return fmt.Errorf("status %d", code)
		}
		return nil
	}
}
