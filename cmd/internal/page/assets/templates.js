// The view of the templates: the head of each, and the image that is here.
import { badge } from './panel.js';
import { button, errorBox, fill, h, link, table, waiting } from './dom.js';
import { ago, bytes, commit, plural, short } from './format.js';
import { get, may, post } from './api.js';

// most is how many builds are read at once for all templates.
const most = 500;

// atOnce bounds the look-ups at git servers that run at the same time.
const atOnce = 4;

export async function templates(main, signal) {
  fill(main, h('h1', null, 'Templates'), waiting('asks the server'));
  try {
    const [{ templates: list }, { images }, { builds }] = await Promise.all([
      get('/v1/templates', signal),
      get('/v1/images', signal),
      get(`/v1/builds?limit=${most}`, signal),
    ]);
    const rows = list.map(
      (t) =>
        new Row(
          t,
          images.filter((i) => i.name === t.name),
          builds.filter((b) => b.name === t.name),
          builds.length < most,
          signal,
        ),
    );
    fill(
      main,
      h('h1', null, 'Templates'),
      table(
        'Templates',
        ['Template', 'Head', 'Image here', 'State', 'Last builds', 'Size', ''],
        rows.map((r) => r.el),
      ),
    );
    const waiting = [...rows];
    await Promise.all(
      Array.from({ length: atOnce }, async () => {
        for (let r = waiting.shift(); r && !signal.aborted; r = waiting.shift())
          await r.lookUp(signal);
      }),
    );
  } catch (err) {
    if (!signal.aborted) fill(main, h('h1', null, 'Templates'), errorBox(err));
  }
}

// outcomes are the last builds of a branch. Those of pull requests say nothing about it.
function outcomes(builds) {
  return builds
    .filter((b) => !b.pull_request)
    .slice(0, 5)
    .map((b) => h('a', { href: `#/builds/${b.id}` }, badge(b)));
}

// pullRequests lists the images of pull requests.
function pullRequests(images) {
  return h(
    'details',
    null,
    h('summary', null, plural(images.length, 'image'), ' of pull requests'),
    h(
      'ul.commits',
      null,
      images.map((i) =>
        h('li', null, h('code', { title: i.reference }, commit(i)), ' ', ago(i.built_at)),
      ),
    ),
  );
}

class Row {
  // all is whether the builds are all that there are of the template.
  constructor(template, images, builds, all, signal) {
    this.template = template;
    this.outcomes = h('td.outcomes', null, outcomes(builds));
    this.ask = !all && !builds.length; // those of others have pushed its own out
    const sorted = images.sort((a, b) => Date.parse(b.built_at) - Date.parse(a.built_at));
    // Those of pull requests say nothing about the branch.
    this.images = sorted.filter((i) => !i.pull_request);
    const pulls = sorted.filter((i) => i.pull_request);
    this.head = h('td', null, template.revision ? h('code', null, short(template.revision)) : '');
    this.state = h('td', null, 'not asked yet');
    const [newest] = this.images;
    const size = sorted.reduce((sum, i) => sum + i.size, 0);
    this.here = h(
      'td',
      null,
      newest
        ? [
            h('code', { title: newest.reference }, short(newest.revision || newest.tree)),
            ' ',
            ago(newest.built_at),
          ]
        : 'none',
      pulls.length ? pullRequests(pulls) : '',
    );
    this.el = h(
      'tr',
      null,
      h('th', { scope: 'row' }, link(template.repository ?? '', template.name)),
      this.head,
      this.here,
      this.state,
      this.outcomes,
      h(
        'td',
        null,
        sorted.length
          ? [bytes(size), sorted.length > 1 ? ` in ${plural(sorted.length, 'image')}` : '']
          : '',
      ),
      h(
        'td',
        null,
        may('build') ? button('Warm', () => this.warm(signal)) : '',
      ),
    );
  }

  async warm(signal) {
    const answer = await post(`/v1/images/${encodeURIComponent(this.template.name)}`);
    if (!answer.build) return 'it is here already';
    if (!signal.aborted) location.hash = `#/builds/${answer.build.id}`;
    return '';
  }

  async lookUp(signal) {
    const [newest] = this.images.filter((i) => i.revision);
    fill(this.state, waiting('asks the git server'));
    try {
      if (this.ask) {
        const name = encodeURIComponent(this.template.name);
        const { builds } = await get(`/v1/builds?limit=20&name=${name}`, signal);
        fill(this.outcomes, outcomes(builds));
      }
      const since = newest ? `?since=${newest.revision}` : '';
      const found = await get(
        `/v1/templates/${encodeURIComponent(this.template.name)}${since}`,
        signal,
      );
      if (found.revision)
        fill(this.head, h('code', { title: found.revision }, short(found.revision)));
      fill(this.state, this.stateOf(found));
    } catch (err) {
      if (!signal.aborted)
        fill(
          this.state,
          h(
            'details',
            null,
            h('summary', null, h('span.badge.bad', null, err.class ?? 'failed')),
            err.message,
          ),
        );
    }
  }

  stateOf(found) {
    if (!found.revision) return 'from the registry';
    const same = this.images.filter((i) => i.revision === found.revision);
    if (same.some((i) => !found.reference || i.reference === found.reference))
      return h('span.badge.good', null, 'up to date');
    if (same.length) return h('span.badge.wait', null, 'built with other settings');
    if (!this.images.length) return h('span.badge.wait', null, 'not built');
    const commits = found.commits ?? [];
    if (!commits.length) return h('span.badge.wait', null, 'behind');
    return h(
      'details',
      null,
      h(
        'summary',
        null,
        h(
          'span.badge.wait',
          null,
          `behind by ${found.more ? 'at least ' : ''}${plural(commits.length, 'commit')}`,
        ),
      ),
      h(
        'ul.commits',
        null,
        commits.map((c) =>
          h(
            'li',
            null,
            h('code', null, short(c.revision)),
            ' ',
            c.subject,
            ' ',
            h('span.time', null, c.author, ', ', ago(c.time)),
          ),
        ),
      ),
    );
  }
}
