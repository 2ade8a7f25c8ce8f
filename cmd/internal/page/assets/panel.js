// One build: what it is, how far it is, its timeline, its log.
import { BuildModel, plain, stateOf } from './build.js';
import { announce, button, errorBox, fill, h, link } from './dom.js';
import { ago, between, bytes, commit, duration, plural, short } from './format.js';
import { follow, get, may, post } from './api.js';
import { LogView } from './log.js';
import { timeline } from './timeline.js';

// badge is the state of a build as a coloured word.
export function badge(b) {
  const [word, kind] = stateOf(b);
  return h(`span.badge.${kind}`, null, word);
}

// buildPanel follows a build until it has ended or the signal comes. changed is called with the
// build when it has, for whoever shows its status elsewhere.
export function buildPanel(b, signal, changed = () => {}) {
  const model = new BuildModel();
  const line = timeline(model);
  const log = new LogView(model.lines);
  const facts = h('dl.facts');
  const result = h('div.result', { tabindex: '-1' });
  const progress = h('p.progress');
  const actions = h('div.actions');
  const running = () => b.state === 'queued' || b.state === 'running';
  let away = false;
  let shown = '';
  const draw = () => {
    if (model.started !== undefined) line.draw();
    fill(progress, running() ? progressOf(b, model, away) : []);
    const text = JSON.stringify([b.ended, b.superseded_by, model.builder, model.image?.repository]);
    if (text !== shown) fill(facts, factsOf(b, model)); // redrawn only then: texts can be selected
    shown = text;
  };
  let frame = 0;
  const later = () => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      draw();
    });
  };
  const clock = setInterval(() => running() && draw(), 1000);
  signal.addEventListener('abort', () => clearInterval(clock));
  // settle shows how the build ended.
  const settle = () => {
    if (!model.ended) model.end(undefined, Date.parse(b.ended));
    const hadFocus = actions.contains(document.activeElement);
    fill(result, resultOf(b, model));
    fill(actions, actionsOf(b, signal));
    if (hadFocus) result.focus();
    draw();
    changed(b);
  };
  follow(
    b.id,
    {
      event(e) {
        model.add(e);
        if (e.type === 'log' || e.type === 'check' || e.type === 'notice') log.update();
        if (running()) b = { ...b, ...changeOf(e) };
        later();
      },
      async end(e) {
        if (e) {
          announce(`${b.name}: ${stateOf(b)[0]}`);
        } else {
          b = await get(`/v1/builds/${encodeURIComponent(b.id)}`, signal).catch(() => b);
        }
        settle();
      },
      waiting(is) {
        away = is;
        draw();
      },
      error: (err) => fill(result, errorBox(err)),
    },
    signal,
  );
  fill(actions, actionsOf(b, signal));
  fill(result, running() ? [] : resultOf(b, model));
  draw();
  return h('div.panel', null, progress, facts, actions, result, line.el, log.el);
}

// changeOf is what an event changes in the status of a build that runs.
function changeOf(e) {
  switch (e.type) {
    case 'queued':
      return { state: 'queued', position: e.position };
    case 'fetching':
    case 'step':
      return { state: 'running', position: undefined };
    case 'done':
      return { state: 'done', image: e.image, ended: e.time };
    case 'failed':
      return { state: 'failed', failure: e.failure, ended: e.time };
    default:
      return {};
  }
}

function progressOf(b, model, away) {
  const sent = model.phases.delivery?.bytes;
  return [
    away ? 'The server does not answer; the page asks again. ' : '',
    model.progress(),
    ' · ',
    between(b.started),
    sent ? ` · ${bytes(sent)} delivered` : '',
  ];
}

function fact(name, ...value) {
  return value.some((v) => v) ? [h('dt', null, name), h('dd', null, value)] : [];
}

function factsOf(b, model) {
  const image = b.image ?? model.image;
  const builder = b.builder ?? model.builder;
  return [
    fact(
      'commit',
      h('code', { title: b.revision }, commit(b) || (b.pinned ? 'a working tree' : 'none')),
      image?.repository ? [' of ', link(image.repository, image.repository)] : '',
    ),
    fact('image', h('code', null, b.reference)),
    fact('why', b.reason),
    fact('asked by', b.asked_by, b.prewarmed ? ', ahead of requests' : ''),
    fact('builder', builder ? `${builder.kind} ${builder.version} at ${builder.endpoint}` : ''),
    fact('started', ago(b.started)),
    fact('took', b.ended ? between(b.started, b.ended) : ''),
    fact('superseded by', short(b.superseded_by)),
  ];
}

function actionsOf(b, signal) {
  const path = `/v1/builds/${encodeURIComponent(b.id)}`;
  if (!b.ended) {
    if (b.pid) return h('p.hint', null, 'Another process builds this; cancel it there.');
    if (!may('cancel')) return h('p.hint', null, 'Operators can cancel this build.');
    return button('Cancel', async () => {
      await post(`${path}/cancel`);
      return 'cancelled';
    });
  }
  if ((b.pinned && !b.revision) || !may('build')) return [];
  return button('Build again', async () => {
    const answer = await post(`${path}/retry`);
    if (!answer.build) return 'the image is there: nothing was built';
    if (!signal.aborted) location.hash = `#/builds/${answer.build.id}`;
    return '';
  });
}

// resultOf says how a build ended.
export function resultOf(b, model) {
  const failure = b.failure ?? model?.failure;
  const image = b.image ?? model?.image;
  if (failure) {
    return h(
      'div.box.bad',
      { role: 'alert' },
      h('strong', null, `Failed: ${failure.class}`),
      failure.origin ? ` (${failure.origin})` : '',
      h('pre.message', null, failure.error),
      failure.log?.length
        ? [
            h('p', null, 'The step printed last:'),
            h('pre.message.last', { tabindex: '0' }, plain(failure.log.join('\n'))),
          ]
        : '',
      checksOf(failure.checks),
    );
  }
  if (b.state === 'interrupted') {
    return h('div.box.bad', null, 'The process that built it has ended before the build did.');
  }
  if (!image) return [];
  return [
    h(
      'div.box.good',
      null,
      h('strong', null, image.outcome),
      ' ',
      h('code', null, image.reference),
      deliveryOf(image),
    ),
    (image.warnings ?? []).map((w) => h('p.box.wait', null, w)),
    checksOf(image.checks),
    h(
      'details',
      null,
      h('summary', null, 'Receipt'),
      h('pre.message', null, JSON.stringify(image, null, 2)),
    ),
  ];
}

function deliveryOf(image) {
  const d = image.delivery;
  if (!d) return '';
  const parts = [d.via ?? d.method];
  if (d.bytes) parts.push(bytes(d.bytes));
  if (d.layers_sent || d.layers_reused)
    parts.push(`${plural(d.layers_sent ?? 0, 'layer')} sent, ${d.layers_reused ?? 0} reused`);
  return h('div', null, `delivered by ${parts.join(', ')}`, durationsOf(image.durations_ms));
}

function durationsOf(d) {
  const parts = Object.entries(d ?? {})
    .filter(([, ms]) => ms > 0)
    .map(([k, ms]) => `${k.replaceAll('_', ' ')} ${duration(ms)}`);
  return parts.length ? ` · ${parts.join(', ')}` : '';
}

function checksOf(checks) {
  return checks?.length
    ? h(
        'ul.checks',
        null,
        checks.map((c) =>
          h(
            'li',
            null,
            c.line ? h('code', null, `${c.file ?? 'Dockerfile'}:${c.line} `) : '',
            c.rule ? `${c.rule}: ` : '',
            c.text,
          ),
        ),
      )
    : '';
}
