// The view of what takes the disk, and what prune would do.
import { announce, button, errorBox, fill, h, table, waiting } from './dom.js';
import { ago, bytes, commit, plural } from './format.js';
import { get, may, post } from './api.js';

export async function store(main, signal) {
  const usage = h('div', null, waiting('asks the image store'));
  const report = h('div');
  const past = h('div');
  const keep = h('input', {
    type: 'number',
    min: '1',
    max: '1000',
    value: '2',
    'aria-label': 'images to keep of each template',
  });
  const ask = (number, dryRun) => post('/v1/prune', { keep: number, dry_run: dryRun });
  keep.addEventListener('input', () => fill(report));
  const confirm = h('dialog', { 'aria-label': 'Prune' });
  const preview = async () => {
    const number = Number(keep.value) || 0;
    const would = await ask(number, true);
    const gone = would.items.filter((i) => i.action === 'removed');
    fill(
      report,
      reportOf(would),
      gone.length || would.build_cache?.removed
        ? button('Prune …', () => {
            fill(
              confirm,
              h(
                'p',
                null,
                `Remove ${plural(gone.length, 'image')} and free up to ${bytes(would.reclaimed)}?`,
              ),
              button('Prune', async () => {
                const done = await ask(number, false);
                confirm.close();
                fill(report, reportOf(done));
                announce('pruned');
                await show();
              }),
              h('button', { type: 'button', onclick: () => confirm.close() }, 'Keep everything'),
            );
            confirm.showModal();
          })
        : '',
    );
  };
  const show = async () => {
    try {
      const u = await get('/v1/usage', signal);
      fill(usage, usageOf(u));
      fill(past, pastOf(u.prunes || []));
    } catch (err) {
      if (!signal.aborted) fill(usage, errorBox(err));
    }
  };
  fill(
    main,
    h('h1', null, 'Store'),
    usage,
    h('h2', null, 'Prune'),
    may('prune')
      ? h(
          'p',
          null,
          h('label', null, 'Keep ', keep, ' images of each template '),
          button('What would go?', preview),
        )
      : h('p.hint', null, 'Operators can prune.'),
    report,
    confirm,
    past,
  );
  await show();
}

function usageOf(u) {
  const largest = Math.max(...u.templates.map((t) => t.size), 1);
  return [
    h(
      'p',
      null,
      `${bytes(u.size)} in images, of which ${bytes(u.reclaimable)} can be pruned`,
      u.build_cache ? ` · ${bytes(u.build_cache)} in saved build caches` : '',
      u.unverified
        ? ` · ${plural(u.unverified, 'image')} left behind by builds that did not end`
        : '',
      u.disk
        ? ` · ${bytes(u.disk.free)} of ${bytes(u.disk.total)} free where the ${u.disk.of === 'images' ? 'images lie' : 'cache folder lies'}`
        : '',
    ),
    u.templates.length
      ? table(
          'What takes the disk',
          ['Template', 'Platform', 'Images', 'In use', 'Size', ''],
          u.templates.map((t) => {
            const bar = h('span.bar');
            bar.style.setProperty('--size', `${(t.size / largest) * 100}%`);
            return h(
              'tr',
              null,
              h(
                'th',
                { scope: 'row' },
                t.name,
                t.working_trees ? ' (working trees)' : '',
                t.pull_request ? ` (pull request ${t.pull_request})` : '',
              ),
              h('td', null, t.platform),
              h('td', null, t.images),
              h('td', null, t.in_use),
              h('td', null, bytes(t.size)),
              h('td', null, h('span.track', { 'aria-hidden': 'true' }, bar)),
            );
          }),
        )
      : h('p.empty', null, 'Pinion has made no image that is here.'),
  ];
}

function reportOf(r) {
  return [
    h(
      'p',
      null,
      `${r.dry_run ? 'It would free' : 'It freed'} ${bytes(r.reclaimed)}; ${bytes(r.remaining)} ${r.dry_run ? 'would stay' : 'stay'}.`,
    ),
    r.items.length
      ? table(
          'Images',
          ['What happens', 'Template', 'Commit', 'Built', 'Size', 'Why'],
          r.items.map((i) =>
            h(
              'tr',
              null,
              h(
                'td',
                null,
                h(`span.badge.${i.action === 'kept' ? 'good' : 'wait'}`, null, i.action),
              ),
              h('th', { scope: 'row' }, i.name),
              h('td', null, h('code', null, commit(i))),
              h('td', null, i.built_at && !i.built_at.startsWith('0001') ? ago(i.built_at) : ''),
              h('td', null, bytes(i.size)),
              h('td.why', null, i.reason),
            ),
          ),
        )
      : h('p.empty', null, 'There is nothing to prune.'),
  ];
}

// pastOf shows what the server has pruned by itself.
function pastOf(prunes) {
  if (!prunes.length) return [];
  return [
    h('h2', null, 'Pruned by the server'),
    table(
      'Prunes by the server itself',
      ['When', 'What for', 'What went', 'Freed'],
      prunes.map((p) =>
        h(
          'tr',
          null,
          h('td', null, ago(p.started)),
          h('td.why', null, p.error ? `${p.cause}: ${p.error}` : p.cause),
          h(
            'td.why',
            null,
            h(
              'ul',
              null,
              p.images.map((i) => h('li', null, h('code', null, i.reference), ` ${i.reason}`)),
              p.build_caches ? h('li', null, plural(p.build_caches, 'saved build cache')) : '',
            ),
          ),
          h('td', null, bytes(p.reclaimed)),
        ),
      ),
    ),
  ];
}
