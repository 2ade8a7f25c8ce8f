package docker

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"
)

// changesAPI is the API version of the engine 29, the first one whose events were compared with all
// that changes an image's name.
const changesAPI = "1.52"

// LastChange returns the last event about an image that the engine has, in a form that differs for
// each event. It is "" if the engine has none, or does not report enough.
//
// An engine keeps its last 256 events of all kinds in memory (moby, daemon/events), and enters one
// before the request that caused it is answered. It enters these:
//
//	                                  20.10      29, classic     29, containerd
//	tag, also to move a name          tag        tag             tag
//	rmi NAME                          untag      untag           untag
//	rmi of the last name              + delete   + delete        + delete
//	load                              load       load            load
//	pull                              pull       pull            pull
//	import NAME                       tag        tag             tag
//	commit NAME                       tag        create, tag     create, tag
//	build by BuildKit, with a name    -          tag, create     create, tag
//	build without BuildKit            tag        create, tag     create, tag
//	image prune                       delete     untag, delete   untag, delete
//	image rm --platform               -          untag, delete   -
//	a load or build that fails late   -          -               -
//
// So before 29 there is no answer, and on the containerd store a caller must not rely on it for
// long. What others do to containerd's images behind the engine is not there either.
//
// The request lists what is in memory: `until` lies in the past, so the engine sends no later
// events, and 0 does not exclude any of those that it has. An engine in which it does would list
// none. The clocks of this machine and the engine's don't matter.
func (e *Engine) LastChange(ctx context.Context) (change string, err error) {
	ctx, cancel := brief(ctx)
	defer cancel()
	version, err := e.apiVersion(ctx)
	if err != nil {
		return "", e.fail(ctx, "list events", "", err)
	}
	if versions.LessThan(version, changesAPI) {
		return "", nil
	}
	// "0" would be a duration for the client, which is now.
	list := e.api.Events(ctx, client.EventsListOptions{Until: "0.000000000",
		Filters: make(client.Filters).Add("type", string(events.ImageEventType))})
	for {
		select {
		case ev := <-list.Messages:
			change = fmt.Sprintf("%d %s %s %s", ev.TimeNano, ev.Action, ev.Actor.ID,
				ev.Actor.Attributes["name"])
		case err := <-list.Err:
			if !errors.Is(err, io.EOF) {
				return "", e.fail(ctx, "list events", "", err)
			}
			return change, nil
		}
	}
}
