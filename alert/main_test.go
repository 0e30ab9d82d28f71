package alert

import (
	"net/http"
	"testing"

	"go.uber.org/goleak"
)

// network connects to the receivers of all tests in this package. As in the program, it is set once.
var network = &Network{}

func TestMain(m *testing.M) {
	http.DefaultTransport = network.Transport()
	goleak.VerifyTestMain(m)
}
