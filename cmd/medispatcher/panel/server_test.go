package panel_test

import (
	"net/http"
	"testing"

	"github.com/solate/medispatcher/cmd/medispatcher/panel"
)

func TestServerHasLimits(t *testing.T) {
	s := panel.Server("127.0.0.1:0", http.NotFoundHandler())
	if s.Addr != "127.0.0.1:0" || s.Handler == nil || s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= s.ReadHeaderTimeout ||
		s.WriteTimeout <= s.ReadTimeout || s.IdleTimeout <= 0 || s.MaxHeaderBytes < 32<<10 {
		t.Errorf("%+v", s)
	}
}
