// The view of two builds side by side: which steps lost their cache, and why.
import { BuildModel } from './build.js';
import { badge } from './panel.js';
import { errorBox, fill, h, table, waiting } from './dom.js';
import { ago, between, commit, duration } from './format.js';
import { follow, get } from './api.js';

export async function compare(main, signal, ids) {
  fill(main, h('h1', null, 'Two builds'), waiting('reads both'));
  try {
    const builds = await Promise.all(
      ids.map((id) => get(`/v1/builds/${encodeURIComponent(id)}`, signal)),
    );
    builds.sort((a, b) => Date.parse(a.started) - Date.parse(b.started));
    const models = await Promise.all(builds.map((b) => read(b.id, signal)));
    const [before, after] = builds;
    fill(
      main,
      h('h1', null, 'Two builds'),
      table(
        'The builds',
        ['', 'Earlier', 'Later'],
        [
          pair(
            'build',
            builds.map((b) => [h('a', { href: `#/builds/${b.id}` }, b.name), ' ', badge(b)]),
          ),
          pair(
            'commit',
            builds.map((b) => h('code', null, commit(b))),
          ),
          pair(
            'started',
            builds.map((b) => ago(b.started)),
          ),
          pair(
            'took',
            builds.map((b) => between(b.started, b.ended)),
          ),
          pair(
            'why',
            builds.map((b) => b.reason),
          ),
          pair(
            'builder',
            builds.map((b) => (b.builder ? `${b.builder.kind} ${b.builder.version}` : '')),
          ),
          builds.some((b) => b.image?.args) ? pair('build arguments', builds.map(argsOf)) : '',
        ],
      ),
      h('h2', null, 'Steps'),
      table(
        'Steps',
        ['Step', 'Earlier', 'Later', 'What became of the cache'],
        compareSteps(
          models[0],
          models[1],
          before.builder?.endpoint === after.builder?.endpoint,
        ).map((s) =>
          h(
            `tr${s.lost ? '.lost' : ''}`,
            null,
            h('th', { scope: 'row' }, s.name),
            h('td', null, took(s.before)),
            h('td', null, took(s.after)),
            h('td', null, s.why),
          ),
        ),
      ),
    );
  } catch (err) {
    if (!signal.aborted) fill(main, h('h1', null, 'Two builds'), errorBox(err));
  }
}

function pair(name, values) {
  return h(
    'tr',
    null,
    h('th', { scope: 'row' }, name),
    values.map((v) => h('td', null, v)),
  );
}

function argsOf(b) {
  return Object.entries(b.image?.args ?? {})
    .map(([k, v]) => `${k}=${v}`)
    .join(' ');
}

function took(step) {
  if (!step) return '–';
  if (step.state === 'cached') return 'cached';
  if (step.state === 'started') return 'did not end';
  return `${step.state === 'failed' ? 'failed after ' : ''}${duration(step.end - step.start)}`;
}

// read collects the events of a build that has ended.
function read(id, signal) {
  return new Promise((resolve, reject) => {
    const model = new BuildModel();
    const end = () => resolve(model);
    follow(id, { event: (e) => model.add(e), end, error: reject }, signal);
  });
}

// compareSteps pairs the steps of two builds by what they do, and says for each why it ran again.
export function compareSteps(before, after, sameBuilder) {
  const instruction = (s) =>
    (s.name ?? '').replace(/^\[([^\]]*?)\s*\d+\/\d+\]/, '[$1]').replace(/#[0-9a-f]{7,}$/, '');
  const stage = (s) => /^\[(?:(\S+)\s+)?\d+\/\d+\]/.exec(s.name ?? '')?.[1] ?? '';
  const old = [...before.steps.values()];
  const broken = new Set(); // stages in which a step has run
  const list = [...after.steps.values()].map((step) => {
    const at = old.findIndex((o) => instruction(o) === instruction(step));
    const [was] = at >= 0 ? old.splice(at, 1) : [];
    const ran =
      step.state !== 'cached' &&
      /^\[.*\d+\/\d+\]/.test(step.name ?? '') &&
      !/\] FROM /.test(step.name);
    let why = '';
    if (ran && !was) why = 'The instruction is new or has changed.';
    else if (ran && broken.has(stage(step))) why = 'A step before it ran.';
    else if (ran && !sameBuilder)
      why = 'Another builder, which does not have the cache of the first.';
    else if (ran)
      why =
        'The instruction is the same: files that it copies, the base image or a build argument have changed, or the cache is gone.';
    else if (step.state === 'cached') why = 'kept';
    if (ran) broken.add(stage(step));
    return { name: step.name, before: was, after: step, why, lost: ran };
  });
  return [
    ...list,
    ...old.map((s) => ({
      name: s.name,
      before: s,
      after: undefined,
      why: 'It is not in the later build.',
    })),
  ];
}
