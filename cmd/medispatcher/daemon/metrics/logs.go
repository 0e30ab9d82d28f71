package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/solate/medispatcher/cmd/medispatcher/outlet"
	rescue "github.com/solate/medispatcher/recover"
)

// logsCollector reports whether the logs of this dispatcher can be written.
type logsCollector struct {
	data, own              *outlet.Outlet // own may be nil
	dataLost, lost, writes *prometheus.Desc
}

func newLogsCollector(data, own *outlet.Outlet) *logsCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("medispatcher_"+name, help, labels, nil)
	}
	return &logsCollector{
		data: data, own: own,
		dataLost: desc("data_log_lines_lost_total", "Lines of the DATA log that this dispatcher could not write, by code. "+
			"If the line would have been the only copy of a message, the message is kept in Redis.", "code"),
		lost:   desc("log_lines_lost_total", "Lines of its own log that this dispatcher could not write."),
		writes: desc("log_writable", "1 while this dispatcher can write a log: data, own.", "log"),
	}
}

// Describe is part of prometheus.Collector.
func (c *logsCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.dataLost, c.lost, c.writes} {
		ch <- d
	}
}

// Collect is part of prometheus.Collector. Every series is there from the start: Prometheus sees no increase in
// a counter whose first value is not zero.
func (c *logsCollector) Collect(ch chan<- prometheus.Metric) {
	data := c.data.State()
	for _, code := range rescue.Codes() {
		ch <- prometheus.MustNewConstMetric(c.dataLost, prometheus.CounterValue, float64(data.Lost[string(code)]), string(code))
	}
	ch <- prometheus.MustNewConstMetric(c.writes, prometheus.GaugeValue, oneIf(data.Problem == nil), "data")
	if c.own == nil {
		return
	}
	own := c.own.State()
	ch <- prometheus.MustNewConstMetric(c.lost, prometheus.CounterValue, float64(own.LostLines()))
	ch <- prometheus.MustNewConstMetric(c.writes, prometheus.GaugeValue, oneIf(own.Problem == nil), "own")
}
