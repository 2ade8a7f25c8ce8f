// The log of a build. Only the lines in sight are in the document, so that its length costs
// nothing.
import { fill, h } from './dom.js';
import { plural } from './format.js';

const rowHeight = 20; // pixels, as in style.css
const spare = 20; // rows above and below those in sight
const slice = 20000; // lines that a search looks through at once

// LogView shows the lines of an array that grows. Call update after it has.
export class LogView {
  constructor(lines) {
    this.lines = lines;
    this.following = true;
    this.matches = [];
    this.match = -1;
    this.rows = h('div.rows');
    this.space = h('div.space', null, this.rows);
    this.view = h('div.log', { tabindex: '0', role: 'region', 'aria-label': 'Log' }, this.space);
    this.view.addEventListener('scroll', () => {
      const rest = this.view.scrollHeight - this.view.scrollTop - this.view.clientHeight;
      this.setFollow(rest < rowHeight);
      this.draw();
    });
    this.found = h('span.found', { role: 'status' });
    this.box = h('input', {
      type: 'search',
      placeholder: 'Search the log',
      'aria-label': 'Search the log',
      oninput: () => this.search(),
      onkeydown: (e) => this.key(e),
    });
    this.follow = h('input', {
      type: 'checkbox',
      checked: true,
      onchange: (e) => this.setFollow(e.target.checked, true),
    });
    this.count = h('span.count');
    this.el = h(
      'section',
      { 'aria-label': 'Log of the build' },
      h(
        'div.bar-of-tools',
        null,
        this.box,
        this.found,
        h('label', null, this.follow, ' follow'),
        this.count,
        h('button', { type: 'button', onclick: () => this.save() }, 'Save'),
      ),
      this.view,
    );
    new ResizeObserver(() => this.draw()).observe(this.view);
  }

  setFollow(on, jump) {
    this.following = on;
    this.follow.checked = on;
    if (on && jump) this.toEnd();
  }

  toEnd() {
    this.view.scrollTop = this.view.scrollHeight;
  }

  // update shows the lines that have come since, once for each frame.
  update() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.count.textContent = plural(this.lines.length, 'line');
      this.space.style.setProperty('--height', `${this.lines.length * rowHeight}px`);
      if (this.following) this.toEnd();
      if (this.box.value) this.searchOn();
      this.draw();
    });
  }

  draw() {
    const first = Math.max(Math.floor(this.view.scrollTop / rowHeight) - spare, 0);
    const last = Math.min(
      Math.ceil((this.view.scrollTop + this.view.clientHeight) / rowHeight) + spare,
      this.lines.length,
    );
    this.rows.style.setProperty('--top', `${first * rowHeight}px`);
    fill(
      this.rows,
      this.lines.slice(first, last).map((line, i) => this.row(line, first + i)),
    );
  }

  row(line, index) {
    const current = this.matches[this.match] === index;
    return h(
      `div.line${line.kind ? `.${line.kind}` : ''}${current ? '.current' : ''}`,
      null,
      h('span.number', null, index + 1),
      line.step ? h('span.step', null, `#${line.step}`) : null,
      h('span.text', null, this.marked(line.text)),
    );
  }

  // marked is a text with what was searched for marked.
  marked(text) {
    const term = this.box.value.toLowerCase();
    if (!term) return text;
    const parts = [];
    const lower = text.toLowerCase();
    let from = 0;
    for (let at = lower.indexOf(term); at >= 0; at = lower.indexOf(term, from)) {
      parts.push(text.slice(from, at), h('mark', null, text.slice(at, at + term.length)));
      from = at + term.length;
    }
    parts.push(text.slice(from));
    return parts;
  }

  // search begins a new search.
  search() {
    this.matches = [];
    this.match = -1;
    this.looked = 0;
    clearTimeout(this.timer);
    if (!this.box.value) {
      fill(this.found);
      this.draw();
      return;
    }
    this.timer = setTimeout(() => this.searchOn(), 100);
  }

  // searchOn looks through the lines that no search has seen yet, a slice at a time.
  searchOn() {
    clearTimeout(this.timer);
    const term = this.box.value.toLowerCase();
    const end = Math.min(this.looked + slice, this.lines.length);
    for (; this.looked < end; this.looked += 1) {
      if (this.lines[this.looked].text.toLowerCase().includes(term)) this.matches.push(this.looked);
    }
    if (this.match < 0 && this.matches.length) this.go(0);
    this.sayFound();
    if (this.looked < this.lines.length) this.timer = setTimeout(() => this.searchOn());
    else this.draw();
  }

  sayFound() {
    const n = this.matches.length;
    this.found.textContent = n ? `${this.match + 1} of ${n}` : 'not found';
  }

  key(e) {
    if (e.key !== 'Enter' || !this.matches.length) return;
    e.preventDefault();
    const n = this.matches.length;
    this.go((this.match + (e.shiftKey ? n - 1 : 1)) % n);
    this.sayFound();
  }

  // go scrolls to a match.
  go(i) {
    this.match = i;
    this.setFollow(false);
    this.view.scrollIntoView({ block: 'nearest' });
    this.view.scrollTop = Math.max(this.matches[i] * rowHeight - this.view.clientHeight / 2, 0);
    this.draw();
  }

  save() {
    const url = URL.createObjectURL(
      new Blob([this.lines.map((l) => `${l.text}\n`).join('')], { type: 'text/plain' }),
    );
    h('a', { href: url, download: 'build.log' }).click();
    URL.revokeObjectURL(url);
  }
}
