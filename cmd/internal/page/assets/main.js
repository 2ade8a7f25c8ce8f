// The page: signing in, and which view is shown.
import { builders } from './builders.js';
import { compare } from './compare.js';
import { errorBox, fill, h } from './dom.js';
import { keepTime } from './format.js';
import { now } from './now.js';
import { onSignedOut, readSession, session, signIn, signOut } from './api.js';
import { past } from './past.js';
import { single } from './single.js';
import { store } from './store.js';
import { templates } from './templates.js';

// views by the first part of the address after the #.
const views = {
  '': ['Now', now],
  templates: ['Templates', templates],
  history: ['History', past],
  store: ['Store', store],
  builders: ['Builders', builders],
  builds: [null, single],
  compare: [null, compare],
};

// whole has the views that are not for callers of some templates.
const whole = ['store', 'builders'];

const main = document.getElementById('main');
let leave = new AbortController();
let ended = false; // the session did, not by this page

function show(focus) {
  leave.abort();
  leave = new AbortController();
  const [path, query] = location.hash.replace(/^#\/?/, '').split('?');
  const [name, ...rest] = path.split('/').map(decoded);
  const [title, view] = Object.hasOwn(views, name) ? views[name] : views[''];
  document.title = title ? `${title} – Pinion` : 'Pinion';
  fill(
    document.getElementById('nav'),
    session.signed_in
      ? h(
          'ul',
          null,
          Object.entries(views)
            .filter(([to, [text]]) => text && (session.whole || !whole.includes(to)))
            .map(([to, [text]]) =>
              h(
                'li',
                null,
                h('a', { href: `#/${to}`, 'aria-current': to === name ? 'page' : null }, text),
              ),
            ),
        )
      : '',
  );
  fill(
    document.getElementById('session'),
    session.form && !session.local
      ? h('button', { type: 'button', onclick: leaveSession }, 'Sign out')
      : '',
  );
  if (focus) main.focus();
  if (!session.signed_in) return signInView();
  return view(main, leave.signal, rest, new URLSearchParams(query));
}

// decoded is a part of the address, as it is if it is malformed.
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function signInView() {
  if (session.local) {
    fill(
      main,
      h('h1', null, 'This page has ended'),
      h('p', null, 'Run ', h('code', null, 'pinion page'), ' again.'),
    );
    return;
  }
  const token = h('input', {
    type: 'password',
    name: 'token',
    autocomplete: 'current-password',
    required: true,
    id: 'token',
  });
  const said = h('div');
  fill(
    main,
    h('h1', null, 'Sign in'),
    ended
      ? h('p.box.wait', { role: 'status' }, 'The session has ended. Sign in to go on here.')
      : '',
    h(
      'form.signin',
      {
        onsubmit: async (e) => {
          e.preventDefault();
          fill(said);
          try {
            await signIn(token.value);
            ended = false;
            show(true);
          } catch (err) {
            fill(said, errorBox(err));
          }
        },
      },
      h('input', {
        type: 'text',
        name: 'username',
        autocomplete: 'username',
        value: 'pinion',
        hidden: true,
      }), // for password managers
      h('label', { for: 'token' }, 'Token of the server'),
      token,
      h('button', { type: 'submit' }, 'Sign in'),
      said,
      h(
        'p.hint',
        null,
        'It is in the file of --token-file, or of --operator-token-file for those who may cancel and prune, or it has an entry in --tokens-file.',
      ),
    ),
  );
  token.focus();
}

async function leaveSession() {
  try {
    await signOut();
    ended = false;
    show(true);
  } catch (err) {
    fill(main, errorBox(err));
  }
}

onSignedOut(() => {
  ended = true;
  show(true);
});
addEventListener('hashchange', () => show(true));
setInterval(keepTime, 1000);
try {
  await readSession();
  show(false);
} catch (err) {
  fill(main, errorBox(err));
}
