//go:build linux

package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// plots are the figures as SVG, by name. They carry their own background and
// so can be read in any page.
func (r *Results) plots() map[string]string {
	all := map[string]string{}
	for _, c := range []struct{ key, title string }{
		{"ladder", "Requests per second, as a part of reverse_proxy without auth"},
		{"api", "Requests per second, as a part of respond 204"},
		{"peers", "Requests per second, as a part of our guard"},
	} {
		if g := r.find(c.key); g != nil {
			all[c.key] = bars(c.title, g.Rows, func(w *Row) Spread { return w.Ratio })
		}
	}
	if g := r.find("open"); g != nil {
		all["latency"] = percentiles(g)
	}
	var lines []line
	for i := range r.Series {
		if s := &r.Series[i]; s.Grows && len(s.Points) > 1 {
			lines = append(lines, s.line())
		}
	}
	for _, key := range []string{"acl", "routes"} {
		if g := r.find(key); g != nil {
			lines = append(lines, g.line())
		}
	}
	if len(lines) > 0 {
		all["scaling"] = growth(lines)
	}
	return all
}

// The sizes of a plot, in pixels.
const (
	plotWidth = 860
	barHeight = 26
	margin    = 16
	textWidth = 330
)

// colours that differ for the colour-blind, too (Okabe and Ito).
var colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"}

// svg is a picture being drawn.
type svg struct{ strings.Builder }

func newSVG(height int, title string) *svg {
	s := new(svg)
	fmt.Fprintf(s, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n", plotWidth, height)
	fmt.Fprintf(s, `<rect width="100%%" height="100%%" fill="#fff"/>`+"\n")
	s.text(margin, 24, "start", title, "14")
	return s
}

func (s *svg) text(x, y float64, anchor, text, size string) {
	fmt.Fprintf(s, `<text x="%.1f" y="%.1f" text-anchor="%s" font-size="%s" fill="#222">%s</text>`+"\n", x, y, anchor, size, html.EscapeString(text))
}

func (s *svg) line(x1, y1, x2, y2 float64, colour string) {
	fmt.Fprintf(s, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>`+"\n", x1, y1, x2, y2, colour)
}

func (s *svg) end() string {
	s.WriteString("</svg>\n")
	return s.String()
}

// bars shows a figure of each row, with the interval it lies in.
func bars(title string, rows []Row, of func(*Row) Spread) string {
	s := newSVG(2*margin+32+barHeight*len(rows), title)
	const left, right = margin + textWidth, plotWidth - margin - 50
	most := 1.0
	for i := range rows {
		if m := of(&rows[i]).High; m < 3 { // the upstream alone would dwarf the rest: its bar is cut
			most = max(most, m)
		}
	}
	x := func(v float64) float64 { return left + min(v/most, 1)*(right-left) }
	top := 40.0
	for i := range rows {
		v, y := of(&rows[i]), top+float64(i*barHeight)
		s.text(left-8, y+14, "end", rows[i].Name, "12")
		fmt.Fprintf(s, `<rect x="%d" y="%.1f" width="%.1f" height="%d" fill="%s"/>`+"\n", left, y, x(v.Median)-left, barHeight-8, colours[0])
		s.line(x(v.Low), y+9, x(v.High), y+9, "#222")
		s.text(max(x(v.Median), x(v.High))+6, y+14, "start", fmt.Sprintf("%.2f", v.Median), "12")
	}
	s.line(x(1), top-4, x(1), top+float64(barHeight*len(rows)), "#888")
	return s.end()
}

// line is how a ratio develops.
type line struct {
	name   string
	points []Spread
	labels []string
}

func (s *Series) line() line {
	l := line{name: s.Name}
	for _, p := range s.Points {
		l.points, l.labels = append(l.points, p.Rows[1].Ratio), append(l.labels, p.Name)
	}
	return l
}

func (g *Group) line() line {
	l := line{name: g.Name}
	for _, w := range g.Rows[1:] {
		l.points, l.labels = append(l.points, w.Ratio), append(l.labels, w.Name)
	}
	return l
}

// growth shows each line in a panel of its own, on one scale.
func growth(lines []line) string {
	const panel, top, bottom = 120.0, 48.0, 34.0
	s := newSVG(int(top+float64(len(lines))*(panel+bottom)), "The guard, as a part of reverse_proxy without auth, when there is more of something")
	const left, right = margin + 170, plotWidth - margin - 40
	for i, l := range lines {
		base := top + float64(i)*(panel+bottom) + panel
		y := func(v float64) float64 { return base - min(v, 1.2)/1.2*panel }
		for _, v := range []float64{0, .5, 1} {
			s.line(left, y(v), right, y(v), "#ddd")
			s.text(left-6, y(v)+4, "end", fmt.Sprint(v), "11")
		}
		s.text(margin, base-panel/2, "start", l.name, "12")
		x := func(j int) float64 {
			return left + 30 + float64(j)*(right-left-60)/float64(max(1, len(l.points)-1))
		}
		var path strings.Builder
		for j, p := range l.points {
			fmt.Fprintf(&path, "%.1f,%.1f ", x(j), y(p.Median))
			s.line(x(j), y(p.Low), x(j), y(p.High), "#222")
			fmt.Fprintf(s, `<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/>`+"\n", x(j), y(p.Median), colours[0])
			s.text(x(j), base+16, "middle", l.labels[j], "11")
		}
		fmt.Fprintf(s, `<polyline points="%s" fill="none" stroke="%s" stroke-width="1.5"/>`+"\n", path.String(), colours[0])
	}
	return s.end()
}

// percentiles shows latencies on a logarithmic scale.
func percentiles(g *Group) string {
	const top, height = 48.0, 300.0
	s := newSVG(int(top+height)+60+18*((len(g.Rows)+1)/2), g.Name)
	const left, right = margin + 60, plotWidth - margin - 20
	labels := []string{"p50", "p90", "p99", "p99.9"}
	of := func(l Latency) []float64 { return []float64{l.P50, l.P90, l.P99, l.P999} }
	low, high := math.Inf(1), 0.0
	for _, w := range g.Rows {
		if w.Latency.P50 > 0 {
			low, high = min(low, w.Latency.P50), max(high, w.Latency.P999)
		}
	}
	if high == 0 {
		return s.end()
	}
	from, to := math.Floor(math.Log10(low)), math.Ceil(math.Log10(high))
	y := func(us float64) float64 { return top + height - (math.Log10(us)-from)/(to-from)*height }
	x := func(j int) float64 { return left + 40 + float64(j)*(right-left-80)/float64(len(labels)-1) }
	for e := from; e <= to; e++ {
		v := math.Pow(10, e)
		s.line(left, y(v), right, y(v), "#ddd")
		s.text(left-6, y(v)+4, "end", micros(v), "11")
	}
	for j, name := range labels {
		s.text(x(j), top+height+18, "middle", name, "12")
	}
	for i, w := range g.Rows {
		colour := colours[i%len(colours)]
		var path strings.Builder
		for j, us := range of(w.Latency) {
			if us > 0 {
				fmt.Fprintf(&path, "%.1f,%.1f ", x(j), y(us))
			}
		}
		fmt.Fprintf(s, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", path.String(), colour)
		lx, ly := float64(margin+(i%2)*420), top+height+44+float64(18*(i/2))
		fmt.Fprintf(s, `<rect x="%.1f" y="%.1f" width="12" height="12" fill="%s"/>`+"\n", lx, ly-10, colour)
		s.text(lx+18, ly, "start", w.Name, "12")
	}
	return s.end()
}
