// Command partscheck says which of the real parts of the end-to-end tests this machine can run, and
// how to get the others. Tests skip what is missing, quietly unless `go test -v` runs them; this
// says it aloud beforehand. With CI=true something missing is a failure.
package main

import (
	"context"
	"fmt"
	"os"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

func main() {
	missing := 0
	for _, name := range parts.AvailableNames() {
		if err := parts.Available(context.Background(), name); err != nil {
			missing++
			fmt.Printf("MISSING  %-20s its tests are skipped: %v\n", name, err)
		}
	}
	if missing == 0 {
		fmt.Println("all real parts are here")
	} else if os.Getenv("CI") == "true" {
		os.Exit(1)
	}
}
