package retention

// Images share parts: layers, and in a folder other blobs. A part that several images have takes
// room once, and is free when the last of them is gone. Of a store that does not tell the parts,
// each image is a part of its own.

// parts returns the sizes of an image's parts by names that are the same in all images.
func (h *holding) parts() map[string]int64 {
	if h.shares != nil {
		return h.shares
	}
	return map[string]int64{h.ID: h.Size}
}

// takesRoom reports whether the image is in the store, under whatever name.
func (h *holding) takesRoom() bool {
	return h.state != missing && h.Action != Removed && h.Action != Forgotten
}

// sizeOf returns what the images that a function accepts take together, in bytes.
func (s *Survey) sizeOf(accept func(*holding) bool) (size int64) {
	seen := map[string]bool{}
	for _, h := range s.holdings {
		if !accept(h) {
			continue
		}
		for name, n := range h.parts() {
			if !seen[name] {
				size += n
			}
			seen[name] = true
		}
	}
	return size
}

// freedBy returns what is free once the images that a function accepts are gone, in bytes.
func (s *Survey) freedBy(goes func(*holding) bool) (size int64) {
	stays := map[string]bool{}
	for _, h := range s.holdings {
		if h.takesRoom() && !goes(h) {
			for name := range h.parts() {
				stays[name] = true
			}
		}
	}
	for _, h := range s.holdings {
		if !goes(h) {
			continue
		}
		for name, n := range h.parts() {
			if !stays[name] {
				size += n
			}
			stays[name] = true
		}
	}
	return size
}

// free returns what an image that goes makes free, in bytes.
func (s *Survey) free(h *holding) int64 {
	return s.freedBy(func(other *holding) bool { return other == h })
}
