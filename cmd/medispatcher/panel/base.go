package panel

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// underBase puts everything below a path, for a proxy that serves other things beside it. A request may come with the path
// or without it, as a proxy passes it on or cuts it off; probes come without it. Every link, redirect and cookie
// of an answer is put below the path here, so that nothing else needs to know it.
func underBase(base string, next http.Handler) http.Handler {
	if base == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == base {
			to := base + "/"
			if r.URL.RawQuery != "" {
				to += "?" + r.URL.RawQuery
			}
			http.Redirect(w, r, to, http.StatusPermanentRedirect)
			return
		}
		if path, below := strings.CutPrefix(r.URL.Path, base+"/"); below {
			short := r.Clone(r.Context())
			short.URL = &url.URL{Path: "/" + path, RawQuery: r.URL.RawQuery}
			if raw, escaped := strings.CutPrefix(r.URL.RawPath, base+"/"); escaped {
				short.URL.RawPath = "/" + raw
			}
			r = short
		}
		based := &basedWriter{ResponseWriter: w, base: base}
		next.ServeHTTP(based, r)
		based.finish()
	})
}

// basedWriter changes the links of an answer.
type basedWriter struct {
	http.ResponseWriter
	base  string
	began bool
	page  bytes.Buffer // a page, which is sent when all of it is there
	html  bool
}

// Unwrap is for http.ResponseController.
func (w *basedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *basedWriter) WriteHeader(status int) {
	if !w.began {
		w.began = true
		h := w.Header()
		if to := h.Get("Location"); ours(to) {
			h.Set("Location", w.base+to)
		}
		for i, cookie := range h["Set-Cookie"] {
			if !strings.HasPrefix(cookie, "__Host-") { // whose path must be /
				h["Set-Cookie"][i] = strings.Replace(cookie, "; Path=/;", "; Path="+w.base+"/;", 1)
			}
		}
		if w.html = strings.HasPrefix(h.Get("Content-Type"), "text/html"); w.html {
			h.Del("Content-Length")
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *basedWriter) Write(b []byte) (int, error) {
	if !w.began {
		w.WriteHeader(http.StatusOK)
	}
	if w.html {
		return w.page.Write(b)
	}
	return w.ResponseWriter.Write(b)
}

func (w *basedWriter) finish() {
	if w.html {
		_, _ = w.ResponseWriter.Write(rebase(w.page.Bytes(), w.base)) // a client that went away needs no answer
	}
}

// linkAttributes are the attributes of our pages that hold paths.
var linkAttributes = []string{"href", "src", "action", "data-url", "data-then", "data-count", "data-all"}

// rebase puts the links of a page below a path. It reads the page as a browser does, so text that looks like a link stays.
func rebase(page []byte, base string) []byte {
	var out bytes.Buffer
	z := html.NewTokenizer(bytes.NewReader(page))
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			return out.Bytes()
		}
		raw := slices.Clone(z.Raw()) // reading the token changes it
		if kind != html.StartTagToken && kind != html.SelfClosingTagToken {
			_, _ = out.Write(raw)
			continue
		}
		token, changed := z.Token(), false
		for i, a := range token.Attr {
			if slices.Contains(linkAttributes, a.Key) && ours(a.Val) {
				token.Attr[i].Val, changed = base+a.Val, true
			}
		}
		if changed {
			raw = []byte(token.String())
		}
		_, _ = out.Write(raw)
	}
}

// ours reports whether a link leads to a path of this dispatcher.
func ours(link string) bool { return strings.HasPrefix(link, "/") && !strings.HasPrefix(link, "//") }
