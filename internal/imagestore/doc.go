// Package imagestore is the contract of an image store: a small API to inspect, list, tag, receive
// and pull images. Package docker has it for a Docker engine, package layout for a folder in the
// format of the OCI image layout. Package storetest checks both.
//
// What a store guarantees:
//   - Every failure is an *Error that says which side failed, the engine, the folder or a registry,
//     and can be distinguished with errors.Is.
//   - An image that it returns from Receive is complete as far as the store can tell.
//
// What it does not guarantee:
//   - That a tag still means what it meant. Callers keep the image ID and create containers from
//     it.
//   - That a load was complete. Old engines with a containerd store accept an archive with layers
//     missing. Callers load under a temporary tag, inspect, and only then tag.
package imagestore
