package pinion

import (
	"fmt"

	"github.com/moby/moby/client"
)

// DockerClient is a client of the engine that holds the images, found as Pinion found it, for
// whoever creates containers of them: from [Image.ID], which nobody can move. It contacts nobody,
// is safe for concurrent use and belongs to the Orchestrator, so don't close it. The error is an
// [*Error], of kind [ErrInvalidInput] where the image store is no engine.
func (o *Orchestrator) DockerClient() (*client.Client, error) {
	st, err := o.store()
	if err != nil {
		return nil, &Error{Origin: OriginDocker, Err: storeError(err)}
	}
	engine, ok := st.(interface{ Client() *client.Client })
	if !ok {
		return nil, &Error{Origin: OriginDocker,
			Err: fmt.Errorf("%w: the image store %s runs no containers; take a Docker engine "+
				"(--store docker)", ErrInvalidInput, st.Endpoint())}
	}
	return engine.Client(), nil
}
