package serve

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestIdleBeginsWhenTheLastCallEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newActivity()
		end, _ := a.begin(true)
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
		if _, ok := a.begin(true); ok {
			t.Error("it takes builds still")
		}
	})
}

func TestForEverIsForEver(t *testing.T) {
	newActivity().expire(0, nil, func() { t.Error("expired") })
}

func TestCloseIfNothingIsBuilt(t *testing.T) {
	a := newActivity()
	end, _ := a.begin(true)
	if a.close(true) {
		t.Error("closed in the middle of a build")
	}
	if !a.close(false) {
		t.Error("not closed")
	}
	select {
	case <-a.drained:
		t.Error("drained in the middle of a build")
	default:
	}
	end()
	<-a.drained
	if !a.close(true) {
		t.Error("what is closed stays so")
	}
}
