package alert

// The texts of log lines of which there may be one for each alert. They have the attributes rule, subscription, notice and text.
const (
	LineNoReceivers = "alert has no receivers; set MEDIS_ALERT_URLS, or alert.urls of the subscription"
	LineSent        = "alert sent"
	LineUnsent      = "alert not sent yet"
)
