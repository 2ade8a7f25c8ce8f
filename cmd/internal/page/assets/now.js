// The view of what runs, what waits, and what has ended last.
import { badge, buildPanel } from './panel.js';
import { fill, h } from './dom.js';
import { ago, between, short } from './format.js';
import { watchBuilds } from './api.js';

export function now(main, signal) {
  const running = h('div.builds');
  const ended = h('div');
  const open = new Map(); // of running builds, by ID
  fill(main, h('h1', null, 'Now'), running, h('h2', null, 'Ended last'), ended);
  let first = true;
  watchBuilds(
    (builds) => {
      const active = builds.filter(isRunning).reverse();
      for (const b of active) {
        if (open.has(b.id)) open.get(b.id).update(b);
        else open.set(b.id, item(b, first && b === active[0], signal));
      }
      first = false;
      for (const [id, one] of open) {
        const b = builds.find((o) => o.id === id);
        if (!b || isRunning(b)) continue;
        one.update(b);
        if (!one.el.open) {
          one.close();
          open.delete(id);
        }
      }
      const els = [...open.values()].map((o) => o.el);
      if (!els.length) fill(running, h('p.empty', null, 'Nothing is built at the moment.'));
      else if (
        els.length !== running.children.length ||
        els.some((el, i) => running.children[i] !== el)
      )
        fill(running, els);
      const past = builds.filter((b) => !isRunning(b));
      fill(
        ended,
        past.length
          ? h('ul.list', null, past.map(row))
          : h('p.empty', null, 'No build has ended yet.'),
      );
    },
    (isFinal) => {
      if (isFinal) fill(running, h('p.empty', null, 'The server does not send its builds.'));
    },
    signal,
  );
}

export function isRunning(b) {
  return b.state === 'queued' || b.state === 'running';
}

// item is a running build that can be unfolded. It stays until it is folded after its end.
function item(b, unfold, signal) {
  const state = h('span');
  const time = h('span.time');
  const body = h('div');
  let panel;
  let stop;
  const el = h(
    'details.build',
    { open: unfold },
    h(
      'summary',
      null,
      state,
      ' ',
      h('strong', null, b.name),
      ' ',
      h('code', null, short(b.revision)),
      ' ',
      time,
    ),
    body,
  );
  const show = () => {
    if (el.open && !panel) {
      stop = new AbortController();
      signal.addEventListener('abort', () => stop.abort(), { signal: stop.signal });
      panel = buildPanel(b, stop.signal, update);
      fill(body, panel.el, h('p', null, h('a', { href: `#/builds/${b.id}` }, 'This build alone')));
    } else if (!el.open && panel) {
      stop.abort();
      panel = undefined;
      fill(body);
    }
  };
  const tick = () => {
    time.textContent = between(b.started, b.ended);
  };
  const clock = setInterval(tick, 1000);
  const close = () => {
    clearInterval(clock);
    stop?.abort();
  };
  signal.addEventListener('abort', close);
  function update(to) {
    b = { ...b, ...to };
    fill(state, badge(b));
    tick();
    if (!isRunning(b)) clearInterval(clock);
  }
  el.addEventListener('toggle', show);
  update(b);
  show();
  return { el, update, close };
}

// row is a build that has ended.
export function row(b) {
  return h(
    'li',
    null,
    badge(b),
    ' ',
    h('a', { href: `#/builds/${b.id}` }, b.name),
    ' ',
    h('code', null, short(b.revision)),
    ' ',
    h('span.time', null, between(b.started, b.ended), ' · ', ago(b.ended ?? b.started)),
  );
}
