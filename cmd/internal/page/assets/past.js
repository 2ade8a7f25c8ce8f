// The view of the history of builds.
import { badge } from './panel.js';
import { errorBox, fill, h, table } from './dom.js';
import { ago, between, bytes, commit, duration } from './format.js';
import { get } from './api.js';

const kinds = ['running', 'done', 'failed', 'interrupted', 'hit', 'save'];
const limit = 50;

export async function past(main, signal, _, query) {
  const chosen = new Set();
  const name = h('input', {
    name: 'name',
    value: query.get('name') ?? '',
    placeholder: 'all templates',
    'aria-label': 'Template',
  });
  const since = h('input', {
    name: 'since',
    type: 'date',
    value: query.get('since') ?? '',
    'aria-label': 'Since',
  });
  const wanted = (query.get('kind') || 'running,done,failed,interrupted').split(',');
  const boxes = kinds.map((k) =>
    h(
      'label',
      null,
      h('input', { type: 'checkbox', name: 'kind', value: k, checked: wanted.includes(k) }),
      ` ${k}`,
    ),
  );
  const form = h(
    'form.filters',
    {
      onsubmit: (e) => {
        e.preventDefault();
        const q = new URLSearchParams();
        if (name.value.trim()) q.set('name', name.value.trim());
        if (since.value) q.set('since', since.value);
        q.set(
          'kind',
          boxes
            .map((b) => b.firstChild)
            .filter((i) => i.checked)
            .map((i) => i.value)
            .join(','),
        );
        location.hash = `#/history?${q}`;
      },
    },
    h('label', null, 'Template ', name),
    h('label', null, 'Since ', since),
    h('fieldset', null, h('legend', null, 'Show'), boxes),
    h('button', { type: 'submit' }, 'Filter'),
  );
  const compare = h(
    'button',
    {
      type: 'button',
      disabled: true,
      onclick: () => {
        const [a, b] = [...chosen];
        location.hash = `#/compare/${a}/${b}`;
      },
    },
    'Compare two builds',
  );
  const list = h('div');
  const more = h('div');
  fill(main, h('h1', null, 'History'), form, h('p', null, compare), list, more);
  const choose = (id, on) => {
    if (on) chosen.add(id);
    else chosen.delete(id);
    compare.disabled = chosen.size !== 2;
  };
  const shown = [];
  const seen = new Set();
  const load = async (before) => {
    const q = new URLSearchParams({ limit });
    if (query.get('name')) q.set('name', query.get('name'));
    q.set('kind', wanted.join(','));
    const from = new Date(`${query.get('since')}T00:00`); // the user's midnight
    if (!Number.isNaN(from.getTime())) q.set('since', from.toISOString());
    if (before) q.set('before', before);
    try {
      const { builds } = await get(`/v1/builds?${q}`, signal);
      shown.push(...builds.filter((b) => !seen.has(b.id)));
      builds.forEach((b) => seen.add(b.id));
      fill(
        list,
        shown.length
          ? table(
              'Builds',
              [
                '',
                'State',
                'Template',
                'Commit',
                'Started',
                'Took',
                'Why',
                'Asked by',
                'Delivered',
              ],
              shown.map((b) => row(b, chosen, choose)),
            )
          : h('p.empty', null, 'There is no such build.'),
      );
      fill(
        more,
        builds.length >= limit
          ? h('button', { type: 'button', onclick: () => load(oldest(builds)) }, 'Older builds')
          : '',
      );
    } catch (err) {
      if (!signal.aborted) fill(before ? more : list, errorBox(err));
    }
  };
  await load();
}

function oldest(builds) {
  return builds
    .filter((b) => b.ended)
    .map((b) => b.started)
    .sort()
    .at(0);
}

// took is how long a build took; a hit ends with the last of the same kind within an hour.
function took(b) {
  if (b.hits) return duration(b.image?.durations_ms?.total ?? 0);
  return b.ended ? between(b.started, b.ended) : '';
}

function row(b, chosen, choose) {
  const box = h('input', {
    type: 'checkbox',
    checked: chosen.has(b.id),
    'aria-label': `Choose the build of ${b.name} ${commit(b)}`,
    onchange: (e) => choose(b.id, e.target.checked),
  });
  return h(
    'tr',
    null,
    h('td', null, b.hits || !b.ended ? '' : box),
    h('td', null, badge(b)),
    h('th', { scope: 'row' }, h('a', { href: `#/builds/${b.id}` }, b.name)),
    h('td', null, h('code', null, commit(b))),
    h('td', null, ago(b.started)),
    h('td', null, took(b)),
    h('td.why', null, b.hits ? 'the image was there' : b.reason),
    h('td', null, b.asked_by),
    h('td', null, b.image?.delivery?.bytes ? bytes(b.image.delivery.bytes) : ''),
  );
}
