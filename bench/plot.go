package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// bar is a ratio in the plot.
type bar struct {
	label string
	ratio spread
	ours  bool
}

// Sizes in the plot, in pixels. Its colours can be read on white and on black.
const (
	plotWidth  = 860
	plotLeft   = 400 // where bars begin
	plotRight  = 60  // room for the last number
	plotRow    = 30
	plotTop    = 24
	barHeight  = 16
	whisker    = 8
	inkColour  = "#7a828c"
	oursColour = "#2f81f7"
	restColour = "#9aa3ad"
)

// plot draws bars of ratios, with whiskers for their ranges and a line at the limit.
func plot(bars []bar) string {
	most := 1.0
	for _, b := range bars {
		most = max(most, b.ratio.Max)
	}
	most = math.Ceil(most*4) / 4
	height := plotTop + plotRow*len(bars) + 24
	x := func(ratio float64) float64 { return plotLeft + ratio/most*(plotWidth-plotLeft-plotRight) }
	var s strings.Builder
	line := func(form string, args ...any) { _, _ = fmt.Fprintf(&s, form+"\n", args...) }
	line(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" font-family="sans-serif" font-size="13" fill="%s">`,
		plotWidth, height, plotWidth, height, inkColour)
	line(`<title>Rate of each system as a ratio to that of a bare net/http loop: median and range</title>`)
	bottom := plotTop + plotRow*len(bars)
	for tick := 0.0; tick <= most; tick += 0.25 {
		line(`<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="%s" stroke-opacity="0.25"/>`, x(tick), plotTop-6, x(tick), bottom, inkColour)
		line(`<text x="%.1f" y="%d" text-anchor="middle" font-size="11">%.2f</text>`, x(tick), bottom+16, tick)
	}
	for i, b := range bars {
		top := plotTop + plotRow*i
		middle := top + barHeight/2
		colour, weight := restColour, "normal"
		if b.ours {
			colour, weight = oursColour, "bold"
		}
		line(`<text x="%d" y="%d" text-anchor="end" font-weight="%s">%s</text>`, plotLeft-10, middle+5, weight, html.EscapeString(b.label))
		line(`<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`, plotLeft, top, x(b.ratio.Median)-plotLeft, barHeight, colour)
		if b.ratio.Max > b.ratio.Min {
			low, high := x(b.ratio.Min), x(b.ratio.Max)
			line(`<path d="M%.1f %dH%.1fM%.1f %dv%dM%.1f %dv%d" stroke="%s" stroke-width="1.5" fill="none"/>`,
				low, middle, high, low, middle-whisker/2, whisker, high, middle-whisker/2, whisker, inkColour)
		}
		line(`<text x="%.1f" y="%d" font-weight="%s">%.2f</text>`, x(b.ratio.Max)+8, middle+5, weight, b.ratio.Median)
	}
	line(`<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="%s" stroke-dasharray="4 3"/>`, x(1), plotTop-10, x(1), bottom, inkColour)
	line(`<text x="%.1f" y="%d" text-anchor="middle" font-size="11">the limit</text>`, x(1), plotTop-13)
	line(`</svg>`)
	return s.String()
}
