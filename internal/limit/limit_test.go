package limit

import (
	"strings"
	"testing"
	"time"
)

func TestFromEnv(t *testing.T) {
	for name, c := range map[string]struct {
		durations, seconds string
		want               time.Duration
		ok                 bool
		wrong              string
	}{
		"unset":                 {},
		"blank":                 {durations: " ", seconds: "\t"},
		"a duration":            {durations: " 20m ", want: 20 * time.Minute, ok: true},
		"seconds":               {seconds: "240", want: 4 * time.Minute, ok: true},
		"both":                  {durations: "1h", seconds: "240", want: time.Hour, ok: true},
		"a blank duration":      {durations: " ", seconds: "240", want: 4 * time.Minute, ok: true},
		"none":                  {durations: "0", ok: true},
		"none in seconds":       {seconds: "0", ok: true},
		"a duration of no unit": {durations: "20", ok: true, wrong: `D="20"`},
		"words":                 {durations: "long", ok: true, wrong: `D="long"`},
		"below 0":               {durations: "-1s", ok: true, wrong: `D="-1s"`},
		"seconds with a unit":   {seconds: "4m", ok: true, wrong: `S="4m"`},
		"seconds below 0":       {seconds: "-1", ok: true, wrong: `S="-1"`},
		"too many seconds":      {seconds: "99999999999", ok: true, wrong: "S="},
	} {
		lookup := func(name string) (string, bool) {
			return map[string]string{"D": c.durations, "S": c.seconds}[name], true
		}
		got, ok := FromEnv(lookup, "D", "S")
		if got.Duration != c.want || ok != c.ok || (got.Err == nil) != (c.wrong == "") ||
			got.Err != nil && !strings.Contains(got.Err.Error(), c.wrong) {
			t.Errorf("%s: got %v (%v), %t", name, got.Duration, got.Err, ok)
		}
	}
}

func TestOf(t *testing.T) {
	if l := Of("the limit", time.Hour); l.Duration != time.Hour || l.Err != nil {
		t.Errorf("got %+v", l)
	}
	if l := Of("the limit", -time.Hour); l.Duration != 0 || l.Err == nil {
		t.Errorf("got %+v", l)
	}
}
