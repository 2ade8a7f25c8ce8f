// The view of one build.
import { badge, buildPanel } from './panel.js';
import { errorBox, fill, h } from './dom.js';
import { get } from './api.js';

export async function single(main, signal, [id]) {
  fill(main, h('h1', null, 'Build'));
  try {
    const b = await get(`/v1/builds/${encodeURIComponent(id)}`, signal);
    const state = h('span', null, badge(b));
    const panel = b.hits
      ? h('p', null, `The image ${b.reference} was there.`)
      : buildPanel(b, signal, (changed) => fill(state, badge(changed)));
    fill(main, h('h1', null, b.name, ' ', state), panel);
    document.title = `${b.name} – Pinion`;
  } catch (err) {
    if (!signal.aborted) fill(main, h('h1', null, 'Build'), errorBox(err));
  }
}
