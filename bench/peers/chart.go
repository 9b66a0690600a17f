package main

import (
	"fmt"
	"html"
	"os"
	"strings"

	"github.com/wxsidecar/wxsidecar/bench/program"
)

// Colours that are readable on white and on black: a picture in a README does not
// know its background, so it has none of its own.
const (
	inkColour     = "#737b84"
	peerColour    = "#7d8ca6"
	ourColour     = "#2da44e"
	invalidColour = "#e5534b"
	errorColour   = "#c69026"
)

// Sizes, in pixels. Fonts differ in width between machines, so a name ends before
// its axis, and a bar leaves room for its label.
const (
	chartWidth  = 900
	blockHeight = 220
	panelsLeft  = 212
	panelsTop   = 42
	panelWidth  = (chartWidth - panelsLeft) / situations
	rowHeight   = 24
	barHeight   = 11
	longestBar  = 46 // of requests: their labels are long
	wholeBar    = 80 // of shares
)

// chart is an SVG picture.
type chart struct{ strings.Builder }

// text writes a text whose start or end (the anchor) is at x.
func (c *chart) text(x, y int, anchor string, size float64, more, text string) {
	_, _ = fmt.Fprintf(c, `<text x="%d" y="%d" text-anchor="%s" font-size="%g"%s>%s</text>`+"\n", x, y, anchor, size, more, html.EscapeString(text))
}

func (c *chart) rect(x, y, width float64, height int, colour string) {
	_, _ = fmt.Fprintf(c, `<rect x="%.1f" y="%g" width="%.1f" height="%d" fill="%s"/>`+"\n", x, y, width, height, colour)
}

// writeChart writes the chart: for each situation the requests to WeChat, and the
// share of workers' requests that got an invalid token or none.
func writeChart(path string, r result) error {
	c := &chart{}
	_, _ = fmt.Fprintf(c, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" `+
		`font-family="Liberation Sans, Arial, Helvetica, sans-serif" fill="%s">`+"\n", chartWidth, 2*blockHeight, inkColour)
	pods := make([]string, len(r.Pods))
	for i, n := range r.Pods {
		pods[i] = program.Number(n)
	}
	most := pods[len(pods)-1]
	c.block(0, fmt.Sprintf("Requests to WeChat with %s pods of %d workers (bars: %s pods)", strings.Join(pods, " / "), r.Workers, most),
		legend{"peers", peerColour}, legend{"wxsidecar", ourColour})
	c.block(blockHeight, fmt.Sprintf("What the workers of %s pods got instead of a valid token", most),
		legend{"an invalid token", invalidColour}, legend{"an error", errorColour})
	scale := 1.0 // the most requests of all
	for _, one := range contestants {
		for s := range situations {
			scale = max(scale, float64(r.largest(one, s).Requests))
		}
	}
	for i, one := range contestants {
		for s := range situations {
			c.requests(s, i, r.Figures[one.name][s], scale, one.ours)
			c.failures(s, i, r.largest(one, s))
		}
	}
	_, _ = c.WriteString("</svg>\n")
	return os.WriteFile(path, []byte(c.String()), 0o644) //nolint:gosec // a picture is public
}

type legend struct{ text, colour string }

// block draws all of one half but its bars.
func (c *chart) block(top int, head string, left, right legend) {
	const bold = ` font-weight="bold"`
	c.text(6, top+16, "start", 12, bold, head)
	for i, l := range []legend{left, right} {
		x := chartWidth - 220 + 135*i
		c.rect(float64(x), float64(top+7), 9, 9, l.colour)
		c.text(x+14, top+16, "start", 11, "", l.text)
	}
	for s, name := range situationNames {
		x := panelsLeft + s*panelWidth
		c.text(x, top+panelsTop-6, "start", 11, "", name)
		c.rect(float64(x)-0.75, float64(top+panelsTop), 0.75, rowHeight*len(contestants), inkColour)
	}
	for i, one := range contestants {
		style := ""
		if one.ours {
			style = bold + ` fill="` + ourColour + `"`
		}
		c.text(panelsLeft-8, top+middle(i)+4, "end", 11, style, one.name)
	}
}

// middle returns the middle of a contestant's row, from the top of its block.
func middle(contestant int) int { return panelsTop + rowHeight*contestant + rowHeight/2 }

// bars draws bars one after the other, and a label behind them.
func (c *chart) bars(top, situation, contestant int, label string, widths []float64, colours []string) {
	x, y := float64(panelsLeft+situation*panelWidth), top+middle(contestant)
	for i, width := range widths {
		if width > 0 {
			c.rect(x, float64(y)-barHeight/2.0, width, barHeight, colours[i])
		}
		x += width
	}
	c.text(int(x)+4, y+4, "start", 10.5, "", label)
}

// requests draws the requests of the largest fleet, on one scale in all panels.
func (c *chart) requests(situation, contestant int, all []figures, scale float64, ours bool) {
	labels := make([]string, len(all))
	for i, f := range all {
		labels[i] = program.Number(f.Requests)
	}
	colour := peerColour
	if ours {
		colour = ourColour
	}
	width := longestBar * float64(all[len(all)-1].Requests) / scale
	c.bars(0, situation, contestant, strings.Join(labels, " / "), []float64{width}, []string{colour})
}

func (c *chart) failures(situation, contestant int, f figures) {
	asked := f.Given + f.Errors
	share := func(n int) float64 { return wholeBar * float64(n) / float64(max(asked, 1)) }
	c.bars(blockHeight, situation, contestant, percent(f.Invalid+f.Errors, asked),
		[]float64{share(f.Invalid), share(f.Errors)}, []string{invalidColour, errorColour})
}

// percent returns a share in percent, rounded to 0 or 100 only if it is exactly that.
func percent(part, whole int) string {
	switch share := 100 * float64(part) / float64(max(whole, 1)); {
	case part == 0:
		return "0"
	case part == whole:
		return "100 %"
	case share < 1:
		return fmt.Sprintf("%.1f %%", max(share, 0.1))
	default:
		return fmt.Sprintf("%d %%", min(int(share+0.5), 99))
	}
}
