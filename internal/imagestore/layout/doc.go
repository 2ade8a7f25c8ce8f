// Package layout is an image store in a folder with the format of the OCI image layout (image-spec
// v1.1, image-layout.md). Several processes of one machine may use a folder at the same time.
//
// What it guarantees beyond the contract of imagestore:
//   - An image has its name only once all of its blobs are there, even if writers are killed or
//     fail.
//   - Index entries of other programs stay as they are, and so do the blobs that they lead to.
//   - Layers are never unpacked.
//   - Everything happens inside the folder, even if links in it point elsewhere.
//
// What it does not guarantee:
//   - That a layer still has the content that was written. Each look at an image reads manifest and
//     config and compares their digests, but checks only the sizes of the layers.
package layout
