// Package client requests images from a server of Pinion, `pinion serve`.
//
// [New] makes a client of a server that runs already, on a unix socket or over HTTP. [Start] finds
// the server of this user or starts one, which ends by itself when it is idle. [Client.Ensure]
// returns the image of a template's current commit:
//
//	images, err := client.Start(ctx)
//	...
//	img, err := images.Ensure(ctx, "claude-code", nil)
//	...
//	// create the container from img.ID
//
// The module needs Go 1.24 and has no dependencies. Its types have the members of the server's
// OpenAPI document. Members that a newer server adds are ignored.
package client
