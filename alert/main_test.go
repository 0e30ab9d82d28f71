package alert

import (
	"net/http"
	"testing"

	"go.uber.org/goleak"
)

// network is the way to receivers of all tests here: as the program does, it is set once.
var network = &Network{}

func TestMain(m *testing.M) {
	http.DefaultTransport = network.Transport()
	goleak.VerifyTestMain(m)
}
