package daemon

import (
	"log/slog"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/config"
	"github.com/solate/medispatcher/push"
	"github.com/solate/medispatcher/push/http1"
)

// Pusher makes requests as the attempts of this dispatcher are made, apart from the scheduler.
type Pusher struct {
	Config  *config.Config
	Client  *http1.Client
	Version string
	Log     *slog.Logger
}

func userAgent(version string) string { return "medispatcher/" + version }

// Show is the request of an attempt that would begin now.
func (p Pusher) Show(sub *medispatcher.Subscription, d *medispatcher.Delivery) (medispatcher.Request, error) {
	return push.Show(sub, d, p.Config.Env, userAgent(p.Version), time.Now())
}
