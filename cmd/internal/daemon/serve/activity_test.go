package serve

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestIdleBeginsWhenTheLastCallEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newActivity()
		end, _ := a.begin(build)
		var at time.Time
		expired := make(chan struct{})
		go a.expire(time.Minute, nil, func() { at = time.Now(); close(expired) })
		time.Sleep(10 * time.Minute)
		if builds, closed := a.state(); builds != 1 || closed {
			t.Errorf("%d builds, closed %t", builds, closed)
		}
		end()
		ended := time.Now()
		time.Sleep(30 * time.Second)
		a.touch()
		<-expired
		if got := at.Sub(ended); got != 90*time.Second {
			t.Errorf("ended %s after the last call", got)
		}
		if _, ok := a.begin(build); ok {
			t.Error("it still accepts builds")
		}
	})
}

func TestIdleZeroNeverExpires(t *testing.T) {
	newActivity().expire(0, nil, func() { t.Error("expired") })
}

func TestWorkIsOverAfterAQuietPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newActivity()
		end, _ := a.begin(build)
		if a.close(true) {
			t.Error("closed in the middle of a build")
		}
		if !a.close(false) {
			t.Error("not closed")
		}
		if _, ok := a.begin(build); ok {
			t.Error("it still accepts builds")
		}
		if a.awaitQuiet(time.Minute) {
			t.Error("quiet in the middle of a build")
		}
		end()
		begun := time.Now()
		go func() {
			time.Sleep(quietPeriod / 2)
			read, ok := a.begin(delivery)
			if !ok {
				t.Error("the result cannot be read")
				return
			}
			time.Sleep(10 * time.Second)
			read()
		}()
		if !a.awaitQuiet(time.Minute) || time.Since(begun) < 10*time.Second+quietPeriod {
			t.Errorf("quiet after %s", time.Since(begun))
		}
		if !a.close(true) {
			t.Error("it is no longer closed")
		}
	})
}
