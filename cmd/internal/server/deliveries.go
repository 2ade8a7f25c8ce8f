package server

import (
	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/buildkit"
)

// wayPull is how an image of a registry comes. Its bytes pass through the engine alone.
const wayPull = "registry"

// deliveryCounts counts how images came into the store. All have the same keys.
type deliveryCounts struct {
	count, bytes map[string]int64
	seconds      map[string]float64
	imports      map[string]int64 // builds that were offered saved caches, by where from
}

// ways returns how an image can come, exposed from the start: what a delivery's method is called,
// and for an engine that is given layers also via what.
func ways() []string {
	return []string{string(buildkit.MethodMoby), string(buildkit.MethodDelta),
		string(buildkit.MethodDelta) + "-" + string(buildkit.ViaLoad),
		string(buildkit.MethodDelta) + "-" + string(buildkit.ViaPull),
		string(buildkit.MethodFull), string(buildkit.MethodFull) + "-" + string(buildkit.ViaLoad),
		string(buildkit.MethodOCI), wayPull}
}

func newDeliveries() deliveryCounts {
	d := deliveryCounts{count: zeros(ways()), bytes: zeros(ways()), seconds: map[string]float64{},
		imports: zeros([]string{"local", "registry"})}
	for _, way := range ways() {
		d.seconds[way] = 0
	}
	return d
}

// add counts the delivery of an image that was built or pulled.
func (d *deliveryCounts) add(img pinion.Image) {
	way, took := wayPull, img.Durations.Pull
	if img.Delivery != nil {
		way, took = string(img.Delivery.Method), img.Durations.Deliver
		if img.Delivery.Via != "" {
			way += "-" + string(img.Delivery.Via)
		}
		d.bytes[way] += img.Delivery.Bytes
	}
	if img.Delivery != nil || img.Outcome == pinion.OutcomePulled {
		d.count[way]++
		d.seconds[way] += float64(took) / 1000
	}
	if img.Cache != nil {
		d.imports[img.Cache.From]++
	}
}

func (d *deliveryCounts) write(e exposition) {
	e.all("pinion_deliveries_total", "counter", "Images that came into the image store.", "way",
		d.count)
	e.all("pinion_delivered_bytes_total", "counter",
		"Bytes sent from builders into the image store.", "way", d.bytes)
	e.floats("pinion_delivery_seconds_total", "counter", "Time that these took.", "way", d.seconds)
	e.all("pinion_cache_imports_total", "counter",
		"Builds whose builder was offered saved build caches.", "from", d.imports)
}
