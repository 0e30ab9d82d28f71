package push

// The texts of log lines of which there may be one for each subscription or message. Whoever keeps the log may gather them.
const (
	// LineOpened and LineClosed have the attributes subscription and target, which is the scheme, host and port.
	LineOpened = "breaker opened: the worker fails every message; a probe goes out now and then"
	LineClosed = "breaker closed: the worker is back"
	// LineProxyFails and LineProxyBack stand for them where the proxy is to blame, which is the target then.
	LineProxyFails = "breaker opened: the push proxy (MEDIS_PUSH_PROXY) lets no message through; a probe goes out now and then"
	LineProxyBack  = "breaker closed: the push proxy lets messages through again"
	// LineFailed and LineDead have topic, subscription, id, attempt, error, and target, a URL.
	LineFailed = "push failed"
	LineDead   = "message is dead: no attempts are left"
	// LineUnreadable has subscription, partition and error.
	LineUnreadable = "a channel cannot be read"
)
