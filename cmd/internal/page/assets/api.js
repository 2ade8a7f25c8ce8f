// The HTTP interface of the server. /openapi.yaml describes it.

// Problem is an error of the server, in the form of RFC 9457.
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail ?? `the server answered ${status}`);
    this.status = status;
    this.title = body.title ?? 'It failed';
    this.class = body.class;
  }
}

// session is the sign-in of this browser, as GET /v1/session has it.
export let session = { signed_in: false, operator: false };

// signedOut is called when the server does not know the session any more.
let signedOut = () => {};

export function onSignedOut(f) {
  signedOut = f;
}

// request returns the answer of the server. The form's secret shows that the page itself asks.
export async function request(method, path, body, signal) {
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
    session = { signed_in: false, operator: false };
    signedOut();
  }
  throw new Problem(resp.status, answer);
}

export const get = (path, signal) => request('GET', path, undefined, signal);
export const post = (path, body) => request('POST', path, body);

export async function readSession() {
  session = await get('/v1/session');
  return session;
}

export async function signIn(token) {
  session = await post('/v1/session', { token });
}

export async function signOut() {
  await request('DELETE', '/v1/session');
  session = { signed_in: false, operator: false };
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

// follow calls on.event for each event of a build until it has ended. The browser reconnects by
// itself; on.error is called if the server refuses. A flood of events is taken in by turns, so that
// the page answers meanwhile.
export function follow(id, on, signal) {
  const waiting = [];
  let next = 0;
  const work = () => {
    for (const until = performance.now() + turn; next < waiting.length; next += 1) {
      if (signal?.aborted) return;
      if (performance.now() > until) {
        setTimeout(work);
        return;
      }
      const e = JSON.parse(waiting[next]);
      waiting[next] = undefined;
      on.event(e);
      if (e.type === 'done' || e.type === 'failed') on.end?.();
    }
    waiting.length = 0;
    next = 0;
  };
  return listen(
    `/v1/builds/${encodeURIComponent(id)}/events`,
    types,
    (type, data, source) => {
      if (type === 'done' || type === 'failed') source.close();
      if (waiting.push(data) === 1) setTimeout(work);
    },
    on.error,
    signal,
  );
}

// watchBuilds calls f with the newest builds, at once and whenever they change.
export function watchBuilds(f, error, signal) {
  return listen('/v1/activity', ['builds'], (_, data) => f(JSON.parse(data).builds), error, signal);
}

function listen(path, names, event, error, signal) {
  const source = new EventSource(path);
  for (const name of names) {
    source.addEventListener(name, (e) => event(name, e.data, source));
  }
  source.addEventListener('error', () => error?.(source.readyState === EventSource.CLOSED));
  signal?.addEventListener('abort', () => source.close());
  return source;
}
