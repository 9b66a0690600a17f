package main

import (
	"bytes"
	"errors"
	"fmt"
	"image/color"
	"os"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Colours that can be read on white and on black, since nobody tells a picture in
// a README which of the two it is on. There is no background for the same reason.
var (
	ink    = color.NRGBA{0x73, 0x7b, 0x84, 0xff}
	theirs = color.NRGBA{0x7d, 0x8c, 0xa6, 0xff}
	ours   = color.NRGBA{0x2d, 0xa4, 0x4e, 0xff}
	dead   = color.NRGBA{0xe5, 0x53, 0x4b, 0xff}
	failed = color.NRGBA{0xc6, 0x90, 0x26, 0xff}
)

const (
	bold        = 3 // as x/image/font has it
	chartWidth  = 900
	chartHeight = 440
	headHeight  = 22
	nameWidth   = 190
	barHeight   = 11
)

// block is one row of panels, a panel for each situation.
type block struct {
	head   string
	panel  func(p *plot.Plot, situation int) error
	legend []legend // right of head
}

type legend struct {
	text  string
	color color.Color
}

// drawChart draws, for each situation, the calls to WeChat, and what share of the
// workers' asks ended badly; in English, and in Chinese beside it.
func drawChart(path, chinese string, r result) error {
	canvas := vgsvg.New(chartWidth, chartHeight)
	whole := draw.New(canvas)
	pods := ""
	for i, n := range r.Pods {
		if i > 0 {
			pods += " / "
		}
		pods += number(n)
	}
	most := r.Pods[len(r.Pods)-1]
	for i, b := range []block{
		{
			head:   fmt.Sprintf("Calls to WeChat, with %s pods of %d workers (the bar: %d pods)", pods, r.Workers, most),
			panel:  func(p *plot.Plot, situation int) error { return addCalls(p, r, situation) },
			legend: []legend{{"peers", theirs}, {"wxsidecar", ours}},
		},
		{
			head:   fmt.Sprintf("Of all that the workers of %d pods asked for", most),
			panel:  func(p *plot.Plot, situation int) error { return addBad(p, r, situation) },
			legend: []legend{{"a dead token", dead}, {"an error", failed}},
		},
	} {
		half := whole.Rectangle
		half.Max.Y -= vg.Length(i) * chartHeight / 2
		half.Min.Y = half.Max.Y - chartHeight/2
		if err := b.draw(draw.Canvas{Canvas: whole.Canvas, Rectangle: half}); err != nil {
			return err
		}
	}
	var svg bytes.Buffer
	if _, err := canvas.WriteTo(&svg); err != nil {
		return err
	}
	// Few readers have the font; these are as wide.
	image := bytes.ReplaceAll(svg.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;"))
	return errors.Join(
		os.WriteFile(path, image, 0o644),               //nolint:gosec // a picture for everybody
		os.WriteFile(chinese, inChinese(image), 0o644), //nolint:gosec // the same
	)
}

func (b block) draw(c draw.Canvas) error {
	style := textStyle(12)
	style.Font.Weight = bold
	top := c.Max.Y - style.Height(b.head) - 4
	c.FillText(style, vg.Point{X: c.Min.X + 6, Y: top}, b.head)
	b.drawLegend(c, top)
	drawn := draw.Crop(c, nameWidth, -4, 4, -headHeight)
	width := (drawn.Max.X - drawn.Min.X) / situations
	for s := range situations {
		p := newPanel(s)
		if err := b.panel(p, s); err != nil {
			return err
		}
		tile := drawn
		tile.Min.X += vg.Length(s) * width
		tile.Max.X = tile.Min.X + width - 8
		p.Draw(tile)
		if s == 0 {
			drawNames(c, p.DataCanvas(tile), p)
		}
	}
	return nil
}

// drawNames names the contestants, left of the first panel.
func drawNames(c, data draw.Canvas, p *plot.Plot) {
	_, y := p.Transforms(&data)
	for i, one := range contestants {
		style := textStyle(11)
		style.XAlign, style.YAlign = draw.XRight, draw.YCenter
		if one.ours {
			style.Color, style.Font.Weight = ours, bold
		}
		c.FillText(style, vg.Point{X: data.Min.X - 8, Y: y(place(i))}, one.name)
	}
}

// drawLegend goes from right to left.
func (b block) drawLegend(c draw.Canvas, y vg.Length) {
	style := textStyle(11)
	x := c.Max.X - 8
	for i := len(b.legend) - 1; i >= 0; i-- {
		one := b.legend[i]
		x -= style.Width(one.text)
		c.FillText(style, vg.Point{X: x, Y: y}, one.text)
		x -= 14
		c.FillPolygon(one.color, []vg.Point{{X: x, Y: y}, {X: x + 9, Y: y}, {X: x + 9, Y: y + 9}, {X: x, Y: y + 9}})
		x -= 14
	}
}

// newPanel is an empty one.
func newPanel(situation int) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	p.Title.Text = situationNames[situation]
	p.Title.TextStyle = textStyle(11)
	p.Title.TextStyle.XAlign, p.Title.TextStyle.YAlign = draw.XCenter, draw.YTop
	p.Title.Padding = 3
	p.HideX()
	p.Y.Min, p.Y.Max = -0.6, float64(len(contestants))-0.4
	p.Y.Tick.Marker = plot.ConstantTicks{}
	p.Y.Padding = 0
	p.Y.Color = ink
	p.Y.Width = 0.75
	return p
}

// place is how far up a contestant stands: the first is on top.
func place(i int) float64 { return float64(len(contestants) - 1 - i) }

// addCalls draws the largest fleets' calls. All panels have one scale.
func addCalls(p *plot.Plot, r result, situation int) error {
	most := 1
	for s := range situations {
		for _, c := range contestants {
			all := r.at(c, s)
			most = max(most, all[len(all)-1].Calls)
		}
	}
	p.X.Min, p.X.Max = 0, 2.1*float64(most)
	var theirCalls, ourCalls plotter.Values = make([]float64, len(contestants)), make([]float64, len(contestants))
	ends := plotter.XYLabels{XYs: make(plotter.XYs, len(contestants))}
	for i, c := range contestants {
		all := r.at(c, situation)
		calls := float64(all[len(all)-1].Calls)
		bars := theirCalls
		if c.ours {
			bars = ourCalls
		}
		bars[int(place(i))] = calls
		ends.XYs[i] = plotter.XY{X: calls, Y: place(i)}
		label := ""
		for j, f := range all {
			if j > 0 {
				label += " / "
			}
			label += number(f.Calls)
		}
		ends.Labels = append(ends.Labels, label)
	}
	return addBars(p, ends, layer{theirCalls, theirs}, layer{ourCalls, ours})
}

// addBad draws shares of all asks.
func addBad(p *plot.Plot, r result, situation int) error {
	p.X.Min, p.X.Max = 0, 1.5
	var deadShare, errorShare plotter.Values = make([]float64, len(contestants)), make([]float64, len(contestants))
	ends := plotter.XYLabels{XYs: make(plotter.XYs, len(contestants))}
	for i, c := range contestants {
		all := r.at(c, situation)
		f := all[len(all)-1]
		asks := float64(max(f.Given+f.Errors, 1))
		deadShare[int(place(i))], errorShare[int(place(i))] = float64(f.Dead)/asks, float64(f.Errors)/asks
		bad := f.Dead + f.Errors
		ends.XYs[i] = plotter.XY{X: float64(bad) / asks, Y: place(i)}
		ends.Labels = append(ends.Labels, percent(bad, f.Given+f.Errors))
	}
	return addBars(p, ends, layer{deadShare, dead}, layer{errorShare, failed})
}

// percent is 0 and 100 only where it is all or nothing.
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

// layer is bars of one colour, stacked on those of the layer before.
type layer struct {
	values plotter.Values
	color  color.Color
}

func addBars(p *plot.Plot, ends plotter.XYLabels, layers ...layer) error {
	var below *plotter.BarChart
	for _, l := range layers {
		bars, err := plotter.NewBarChart(l.values, barHeight)
		if err != nil {
			return err
		}
		bars.Horizontal, bars.Color, bars.LineStyle.Width = true, l.color, 0
		if below != nil {
			bars.StackOn(below)
		}
		below = bars
		p.Add(unsized{bars})
	}
	labels, err := plotter.NewLabels(ends)
	if err != nil {
		return err
	}
	for i := range labels.TextStyle {
		labels.TextStyle[i] = textStyle(10.5)
		labels.TextStyle[i].YAlign = draw.YCenter
	}
	labels.Offset = vg.Point{X: 4}
	p.Add(unsized{labels})
	return nil
}

// unsized keeps a panel's size from following what is drawn in it.
type unsized struct{ plot.Plotter }

func textStyle(size vg.Length) text.Style {
	return text.Style{
		Color: ink, Font: font.From(font.Font{Typeface: "Liberation", Variant: "Sans"}, size), Handler: plot.DefaultTextHandler,
	}
}
