// The view of what runs, what waits, and what has ended last.
import { badge, buildPanel } from './panel.js';
import { fill, h } from './dom.js';
import { ago, between, commit } from './format.js';
import { get, watchBuilds } from './api.js';

// most is how many builds are unfolded at once: each takes one of the few connections that a
// browser opens to one host.
const most = 3;

export function now(main, signal) {
  const running = h('div.builds');
  const ended = h('div');
  const away = h('p.hint');
  const open = new Map(); // what is shown in running, by ID
  fill(main, h('h1', null, 'Now'), away, running, h('h2', null, 'Ended last'), ended);
  let newest = [];
  let list = '';
  const draw = () => {
    for (const [id, one] of open) {
      if (one.ended() && !one.el.open) {
        one.close();
        open.delete(id);
      }
    }
    const els = [...open.values()].map((o) => o.el);
    if (!els.length) fill(running, h('p.empty', null, 'Nothing is built at the moment.'));
    else if (
      els.some((el, n) => running.children[n] !== el) ||
      els.length !== running.children.length
    )
      fill(running, els);
    const past = newest.filter((b) => !isRunning(b));
    const text = past.map((b) => b.id + b.state).join();
    if (text === list && past.length) return; // links keep the focus
    list = text;
    fill(
      ended,
      past.length
        ? h('ul.list', null, past.map(row))
        : h('p.empty', null, 'No build has ended yet.'),
    );
  };
  const unfolded = () => [...open.values()].filter((o) => o.el.open);
  const toggled = (one) => {
    const others = unfolded().filter((o) => o !== one);
    if (one.el.open && others.length >= most) others[0].el.open = false;
    draw();
  };
  let first = true;
  watchBuilds(
    (builds) => {
      newest = builds;
      const active = builds.filter(isRunning).reverse();
      for (const b of active) {
        if (open.has(b.id)) open.get(b.id).update(b);
        else open.set(b.id, item(b, first && b === active[0], toggled, signal));
      }
      first = false;
      for (const [id, one] of open) {
        const b = builds.find((o) => o.id === id);
        if (b) one.update(b);
        else if (!one.ended()) ask(id, one);
      }
      draw();
    },
    (is) => fill(away, is ? 'The server does not answer; the page asks again.' : ''),
    signal,
  );
  // ask finds out what became of a build that the server does not list any more.
  const ask = async (id, one) => {
    try {
      one.update(await get(`/v1/builds/${encodeURIComponent(id)}`, signal));
    } catch {
      one.el.open = false;
      one.update({ ended: new Date().toISOString(), state: 'interrupted' });
    }
    draw();
  };
}

export function isRunning(b) {
  return b.state === 'queued' || b.state === 'running';
}

// item is a running build that can be unfolded. After its end it stays until it is folded.
function item(b, unfold, toggled, signal) {
  const state = h('span');
  const time = h('span.time');
  const body = h('div');
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
      h('code', null, commit(b)),
      ' ',
      time,
    ),
    body,
  );
  const fold = () => {
    stop?.abort();
    stop = undefined;
    fill(body);
  };
  const show = () => {
    if (!el.open) {
      fold();
    } else if (!stop) {
      stop = new AbortController();
      signal.addEventListener('abort', () => stop?.abort(), { signal: stop.signal });
      fill(
        body,
        buildPanel(b, stop.signal, update),
        h('p', null, h('a', { href: `#/builds/${b.id}` }, 'This build alone')),
      );
    }
  };
  const tick = () => {
    time.textContent = between(b.started, b.ended);
  };
  const clock = setInterval(tick, 1000);
  const close = () => {
    clearInterval(clock);
    fold();
  };
  signal.addEventListener('abort', close);
  function update(to) {
    if (b.ended) return;
    b = { ...b, ...to };
    fill(state, badge(b));
    tick();
    if (b.ended) clearInterval(clock);
  }
  const one = { el, update, close, ended: () => Boolean(b.ended) };
  fill(state, badge(b));
  tick();
  show();
  el.addEventListener('toggle', () => {
    show();
    toggled(one);
  });
  return one;
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
    h('code', null, commit(b)),
    ' ',
    h('span.time', null, between(b.started, b.ended), ' · ', ago(b.ended ?? b.started)),
  );
}
