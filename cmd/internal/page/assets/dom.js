// Elements, without HTML in strings. Whatever comes from elsewhere becomes a text node.

// h makes an element: h('td.number', {title: 'bytes'}, text, otherElement). Properties that begin
// with "on" are listeners. null, undefined and false are left out.
export function h(tag, props, ...children) {
  const [name, ...classes] = tag.split('.');
  const el = document.createElement(name);
  if (classes.length) el.className = classes.join(' ');
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) el.addEventListener(key.slice(2), value);
    else el.setAttribute(key, value === true ? '' : value);
  }
  el.append(...nodes(children));
  return el;
}

// fill replaces what an element has.
export function fill(el, ...children) {
  el.replaceChildren(...nodes(children));
  return el;
}

function nodes(children) {
  return children
    .flat(Infinity)
    .filter((c) => c !== undefined && c !== null && c !== false)
    .map((c) => (c instanceof Node ? c : document.createTextNode(String(c))));
}

// link is a link to another site, or the text alone where the address is not one of the web.
export function link(address, text) {
  let url;
  try {
    url = new URL(address);
  } catch {
    return text;
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return text;
  return h('a', { href: url.href, rel: 'noreferrer' }, text);
}

// table makes a table that scrolls sideways where it does not fit.
export function table(caption, columns, rows) {
  return h(
    'div.scroll',
    { tabindex: '0', role: 'region', 'aria-label': caption },
    h(
      'table',
      null,
      h('caption.unseen', null, caption),
      h(
        'thead',
        null,
        h(
          'tr',
          null,
          columns.map((c) => h('th', { scope: 'col' }, c)),
        ),
      ),
      h('tbody', null, rows),
    ),
  );
}

// announce tells a screen reader.
export function announce(text) {
  document.getElementById('announcer').textContent = text;
}

// errorBox shows what went wrong.
export function errorBox(err) {
  return h(
    'div.box.bad',
    { role: 'alert' },
    h('strong', null, err.title ?? 'It failed'),
    ': ',
    err.message,
  );
}

// waiting says what the page waits for, and for how long.
export function waiting(text) {
  const el = h('p.empty', null, `${text} …`);
  const begun = performance.now();
  const clock = setInterval(() => {
    if (el.isConnected)
      el.textContent = `${text} … ${Math.round((performance.now() - begun) / 1000)} s`;
    else clearInterval(clock);
  }, 1000);
  return el;
}

// button is a button whose action may take time. While it runs the button is disabled and counts
// the seconds; what fails is shown behind it.
export function button(text, action, props) {
  const said = h('span.said', { role: 'status' });
  const el = h('button', { type: 'button', ...props }, text);
  el.addEventListener('click', async () => {
    const begun = performance.now();
    const count = () => {
      said.textContent = ` ${Math.round((performance.now() - begun) / 1000)} s`;
    };
    const clock = setInterval(count, 1000);
    el.disabled = true;
    fill(said);
    try {
      const message = await action();
      fill(said, message ? ` ${message}` : '');
    } catch (err) {
      fill(said, ` ${err.message}`);
    } finally {
      clearInterval(clock);
      el.disabled = false;
    }
  });
  return h('span.action', null, el, said);
}
