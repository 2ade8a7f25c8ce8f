// Package workspaceserver has the functions that a workspace server's provisioner calls, under the
// names of its own local-build mode, on a server of Pinion.
//
//	var ensureLocalImageHook = workspaceserver.EnsureLocalImage
//
// It uses the server at PINION_SERVER, with the token in PINION_SERVE_TOKEN if there is one.
// Without that variable it finds or starts `pinion serve` of this user, see [client.Start].
//
// It logs with package log, in the words of the platform's local-development guide.
package workspaceserver
