package main

import "testing"

func TestCheck(t *testing.T) {
	c := contestant{name: "c", want: []string{"CACHED"}, unwanted: []string{"error"}}
	for out, ok := range map[string]bool{"#1 CACHED": true, "#1 DONE": false,
		"CACHED, error": false, "": false} {
		if err := c.check(out); (err == nil) != ok {
			t.Errorf("check(%q) = %v", out, err)
		}
	}
}
