package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"strings"
	"sync"

	"github.com/solate/medispatcher/cmd/medispatcher/panel/problem"
)

//go:embed static
var staticFiles embed.FS

// StaticPath begins the path of every static file.
const StaticPath = "/static/"

// static serves the style sheet, the scripts and the icon. Their path changes with their content, so
// that a browser caches them until there are new ones.
type static struct {
	hash  string
	files fs.FS
	serve http.Handler
}

var embedded = sync.OnceValue(func() *static {
	files, err := fs.Sub(staticFiles, "static")
	if err != nil {
		panic(err) // embedded
	}
	h := sha256.New()
	err = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, name)
		_, _ = h.Write([]byte(name))
		_, _ = h.Write(content)
		return err
	})
	if err != nil {
		panic(err)
	}
	return &static{hex.EncodeToString(h.Sum(nil)[:6]), files, http.FileServerFS(files)}
})

// base is the path of the files, with a slash at its end.
func (s *static) base() string { return StaticPath + s.hash + "/" }

func (s *static) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	hash, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, StaticPath), "/")
	if info, err := fs.Stat(s.files, name); err != nil || info.IsDir() {
		problem.Write(w, problem.New(http.StatusNotFound, "there is no such file"))
		return
	}
	// While dispatchers of two versions run behind one address, a page of one may get files from the
	// other. That is better than no files, but a browser must not cache them.
	if hash == s.hash {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	http.StripPrefix(StaticPath+hash, s.serve).ServeHTTP(w, r)
}
