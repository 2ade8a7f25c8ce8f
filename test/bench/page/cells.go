package page

import (
	"fmt"
	"strings"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/test/bench/history"
	"git.moleculesai.app/molecule-ai/pinion/test/bench/stats"
)

// none stands for what is not known or does not exist.
const none = "–"

// share formats a ratio with as many decimals as it needs.
func share(v float64) string {
	if v < 0.1 {
		return fmt.Sprintf("%.3f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func shares(s stats.Spread[float64]) string { return between(share(s.Low), share(s.High)) }

// length formats a time in milliseconds with a decimal below 100, and from ten seconds in seconds.
func length(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case ms < 1:
		return fmt.Sprintf("%.2f ms", ms)
	case ms < 100:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 10_000:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.1f s", ms/1000)
}

func lengths(s stats.Spread[int64]) string {
	return length(time.Duration(s.Median)) + " " +
		between(length(time.Duration(s.Low)), length(time.Duration(s.High)))
}

func between(low, high string) string {
	if low == high {
		return "(" + low + ")"
	}
	return "(" + low + "–" + high + ")"
}

// memory formats bytes in MB (10^6 bytes).
func memory(n int64) string {
	if n == 0 {
		return none
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// count formats a number with commas, and its range if the runs differ.
func count(s *stats.Spread[int64]) string {
	switch {
	case s == nil:
		return none
	case s.Low == s.High:
		return grouped(s.Median)
	}
	return grouped(s.Median) + " " + between(grouped(s.Low), grouped(s.High))
}

func grouped(n int64) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// measured says when and of which commit a row is.
func (p *page) measured(r history.Row) string {
	text := r.At.Format(time.DateOnly) + ", `" + r.Commit + "`"
	if p.h.Run(r).Machine.Disturbed() {
		text += ", *disturbed*"
	}
	return text
}

// aims formats the aims of a row, and whether each is met.
func aims(r history.Row) (aims, met string) {
	var texts, yes []string
	add := func(text string, reached bool) {
		texts = append(texts, text)
		yes = append(yes, map[bool]string{true: "yes", false: "**no**"}[reached])
	}
	if a := r.Aim.Ratio; a > 0 {
		add("ratio ≤ "+share(a), r.Ratio <= a)
	}
	if a := r.Answers; a != nil && r.Aim.Rate > 0 {
		add(fmt.Sprintf("≥ %s/s", grouped(int64(r.Aim.Rate))), a.Ours.Rate >= r.Aim.Rate)
	}
	if a := r.Answers; a != nil && r.Aim.Beyond > 0 {
		most := a.Alone + r.Aim.Beyond
		add(fmt.Sprintf("p99 ≤ %s + %s", length(a.Alone), length(r.Aim.Beyond)),
			a.Ours.P99 <= most)
	}
	if texts == nil {
		return none, none
	}
	return strings.Join(texts, ", "), strings.Join(yes, ", ")
}
