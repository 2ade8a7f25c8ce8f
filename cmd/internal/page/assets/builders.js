// The view of what a build needs: what `pinion doctor` finds.
import { button, errorBox, fill, h, waiting } from './dom.js';
import { get } from './api.js';

const kinds = { ok: 'good', warning: 'wait', failure: 'bad' };

export async function builders(main, signal) {
  const list = h('div');
  const show = async () => {
    try {
      const { checks } = await get('/v1/doctor', signal);
      const failures = checks.filter((c) => c.status === 'failure').length;
      fill(
        list,
        h(
          'p',
          null,
          failures
            ? `${failures} of ${checks.length} checks failed.`
            : `${checks.length} checks, no failure.`,
        ),
        h(
          'ul.list',
          null,
          checks.map((c) =>
            h(
              'li',
              null,
              h(`span.badge.${kinds[c.status]}`, null, c.status),
              ' ',
              h('strong', null, c.name),
              ' ',
              c.detail,
            ),
          ),
        ),
      );
    } catch (err) {
      if (!signal.aborted) fill(list, errorBox(err));
    }
  };
  fill(main, h('h1', null, 'Builders'), list, h('p', null, button('Examine again', show)));
  fill(list, waiting('examines the git server, the image store and the builder'));
  await show();
}
