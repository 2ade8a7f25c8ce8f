// The waterfall of a build.
import { fill, h } from './dom.js';
import { bytes, duration } from './format.js';

const words = { cached: 'cached', failed: 'failed', started: 'running', queue: 'waiting' };

// timeline draws the rows of a model; draw() draws them again.
export function timeline(model) {
  const list = h('ol.timeline', { 'aria-label': 'Timeline', tabindex: '0' });
  const rows = new Map(); // by name and number
  const draw = () => {
    const now = model.ended ?? Date.now();
    const span = Math.max(now - model.started, 1);
    const shown = model.rows();
    if (shown.length !== list.children.length) {
      fill(
        list,
        shown.map((r) => {
          const key = `${r.number ?? r.kind}`;
          if (!rows.has(key)) rows.set(key, newRow(r));
          return rows.get(key).el;
        }),
      );
    }
    for (const r of shown) update(rows.get(`${r.number ?? r.kind}`), r, model.started, now, span);
  };
  return { el: list, draw };
}

function newRow(r) {
  const bar = h('span.bar');
  const time = h('span.time');
  const name = h('span.name');
  return {
    el: h(`li.${r.kind}`, null, name, h('span.track', { 'aria-hidden': 'true' }, bar), time),
    bar,
    time,
    name,
  };
}

function update(row, r, started, now, span) {
  const end = r.end ?? now;
  row.el.className = r.kind;
  row.name.textContent = r.name ?? '';
  row.name.title = r.name ?? '';
  row.bar.style.setProperty('--from', `${((r.start - started) / span) * 100}%`);
  row.bar.style.setProperty('--size', `${(Math.max(end - r.start, 0) / span) * 100}%`);
  const took = r.kind === 'cached' ? '' : duration(end - r.start);
  row.time.textContent = [words[r.kind], took, r.bytes ? bytes(r.bytes) : '']
    .filter(Boolean)
    .join(' · ');
}
