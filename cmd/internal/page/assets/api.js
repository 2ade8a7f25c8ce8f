// The HTTP interface of the server. /openapi.yaml describes it.

// Problem is an error of the server, in the form of RFC 9457.
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail ?? `the server answered ${status}`);
    this.status = status;
    this.title = body.title ?? 'It failed';
    this.class = body.class;
    this.type = body.type;
  }
}

// session is the sign-in of this browser, as GET /v1/session has it.
export let session = { signed_in: false, rights: [] };

// may reports whether this browser's user has a right: see, build, cancel or prune.
export const may = (right) => session.rights.includes(right);

// signedOut is called when the server does not know the session any more.
let signedOut = () => {};

export function onSignedOut(f) {
  signedOut = f;
}

// request returns the answer of the server. If another tab has signed in since, it asks once more
// with what that tab's session needs.
export async function request(method, path, body, signal) {
  try {
    return await ask(method, path, body, signal);
  } catch (err) {
    const { form } = session;
    if (err.type !== 'urn:pinion:problem:forged' || !form) throw err;
    await readSession();
    if (session.form === form) throw err;
    return ask(method, path, body, signal);
  }
}

// ask makes a request. The form's secret shows that the page itself asks.
async function ask(method, path, body, signal) {
  const headers = {};
  if (session.form && method !== 'GET') headers['Pinion-Form'] = session.form;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  let resp;
  try {
    resp = await fetch(path, {
      method,
      headers,
      signal,
      cache: 'no-store',
      credentials: 'same-origin',
      redirect: 'error',
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (err) {
    if (signal?.aborted) throw err;
    throw new Problem(0, { title: 'The server does not answer', detail: String(err.message) });
  }
  const text = await resp.text();
  let answer = {};
  try {
    answer = text ? JSON.parse(text) : {};
  } catch {
    answer = { detail: 'the answer is no JSON' };
    if (resp.ok) throw new Problem(resp.status, answer);
  }
  if (resp.ok) return answer;
  if (resp.status === 401 && session.signed_in) {
    session = { ...session, signed_in: false };
    signedOut();
  }
  throw new Problem(resp.status, answer);
}

export const get = (path, signal) => request('GET', path, undefined, signal);
export const post = (path, body) => request('POST', path, body);

export async function readSession() {
  session = { ...session, ...(await get('/v1/session')) };
  return session;
}

export async function signIn(token) {
  session = await post('/v1/session', { token });
}

export async function signOut() {
  await request('DELETE', '/v1/session');
  session = { signed_in: false, rights: [] };
}

// The types of a build's events.
const types = [
  'resolved',
  'hit',
  'queued',
  'notice',
  'fetching',
  'check',
  'step',
  'log',
  'still-building',
  'delivering',
  'done',
  'failed',
];

// turn is how long events are taken in before the page may do something else, in milliseconds.
const turn = 15;

// pause is the time before a stream that the server has ended is opened again, in milliseconds.
const pause = 3000;

// follow calls on.event for each event of a build until it has ended, and then on.end with its
// last event, or with nothing if its process ended before. on.waiting is called with true while the
// server cannot be reached, and on.error if there is no such build. A flood of events is taken in by
// turns, so that the page answers meanwhile.
export function follow(id, on, signal) {
  const path = `/v1/builds/${encodeURIComponent(id)}`;
  const waiting = [];
  let next = 0;
  let last = 0; // a stream that is opened again begins at the first event
  const work = () => {
    for (const until = performance.now() + turn; next < waiting.length; next += 1) {
      if (signal.aborted) return;
      if (performance.now() > until) {
        setTimeout(work);
        return;
      }
      const e = JSON.parse(waiting[next]);
      waiting[next] = undefined;
      if (e.id <= last) continue;
      last = e.id;
      on.event(e);
      if (e.type === 'done' || e.type === 'failed') on.end(e);
    }
    waiting.length = 0;
    next = 0;
  };
  const event = (type, data, close) => {
    if (type === 'done' || type === 'failed') close();
    if (waiting.push(data) === 1) setTimeout(work);
  };
  // ended reports whether there is nothing more to come.
  const ended = async () => {
    try {
      const b = await get(path, signal);
      if (b.ended) setTimeout(() => on.end(), turn); // after the events that came
      return Boolean(b.ended);
    } catch (err) {
      if (err.status === 404) on.error(err);
      return err.status === 404;
    }
  };
  listen(`${path}/events`, types, event, { ended, waiting: on.waiting }, signal);
}

// watchBuilds calls f with the newest builds, at once and whenever they change.
export function watchBuilds(f, waiting, signal) {
  const event = (_, data) => f(JSON.parse(data).builds);
  listen('/v1/activity', ['builds'], event, { ended: () => false, waiting }, signal);
}

// listen opens a stream of events. The browser opens it again if the connection breaks; if the
// server refused, listen does, unless the session has ended or on.ended() says that the stream has.
// A page that nobody sees has no stream: a browser opens few connections to one host.
function listen(path, names, event, on, signal) {
  let source;
  let over = false;
  const close = () => {
    over = true;
    source?.close();
  };
  const refused = async () => {
    on.waiting?.(true);
    try {
      await readSession();
      if (!session.signed_in) {
        signedOut();
        return;
      }
      over ||= await on.ended();
    } catch {
      // It is asked again.
    }
    if (!over && !signal.aborted) setTimeout(open, pause);
  };
  const open = () => {
    if (over || signal.aborted || document.hidden) return;
    source?.close();
    source = new EventSource(path);
    source.addEventListener('open', () => on.waiting?.(false));
    for (const name of names) {
      source.addEventListener(name, (e) => event(name, e.data, close));
    }
    source.addEventListener('error', () => {
      if (over || signal.aborted) return;
      if (source.readyState === EventSource.CLOSED) refused();
      else on.waiting?.(true);
    });
  };
  const look = () => (document.hidden ? source?.close() : open());
  document.addEventListener('visibilitychange', look, { signal });
  signal.addEventListener('abort', () => source?.close());
  open();
}
