// Sizes and times as people write them.
import { h } from './dom.js';

const space = '\u00a0'; // at which a line does not break
const units = ['B', 'kB', 'MB', 'GB', 'TB'];

// bytes writes a size in decimal units, as Docker does: 7 B, 1.2 GB. A line does not break in it.
export function bytes(n) {
  let i = 0;
  let value = n;
  while (value >= 999.5 && i < units.length - 1) {
    value /= 1000;
    i += 1;
  }
  return `${i > 0 && value < 9.95 ? value.toFixed(1) : Math.round(value)}${space}${units[i]}`;
}

// duration writes milliseconds: 0.3 s, 42 s, 3 min 5 s, 2 h 10 min. A line does not break in it.
export function duration(ms) {
  const s = Math.max(ms, 0) / 1000;
  const of = (n, unit) => `${n}${space}${unit}`;
  const both = (n, unit, rest, smaller) =>
    rest ? `${of(n, unit)}${space}${of(rest, smaller)}` : of(n, unit);
  if (s < 9.95) return of(s.toFixed(1), 's');
  const whole = Math.round(s);
  if (whole < 60) return of(whole, 's');
  const min = Math.floor(whole / 60);
  if (min < 60) return both(min, 'min', whole % 60, 's');
  return both(Math.floor(min / 60), 'h', min % 60, 'min');
}

// between writes the time from one moment to another, or to now.
export function between(from, to) {
  return duration((to ? new Date(to) : new Date()) - new Date(from));
}

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const steps = [
  ['day', 86400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
];

// since writes the time from a moment until now.
function since(at) {
  const s = (at - Date.now()) / 1000;
  const [unit, size] = steps.find(([, n]) => Math.abs(s) >= n) ?? ['second', 1];
  return relative.format(Math.round(s / size), unit);
}

// ago is a moment as the time since then, with the moment itself as its title.
export function ago(moment) {
  const at = new Date(moment);
  return h('time', { datetime: at.toISOString(), title: at.toLocaleString() }, since(at));
}

// keepTime writes the times of [ago] again as they pass.
export function keepTime() {
  for (const el of document.querySelectorAll('time')) {
    const text = since(new Date(el.dateTime));
    if (el.textContent !== text) el.textContent = text;
  }
}

// short is a commit as people write it.
export function short(revision) {
  return revision ? revision.slice(0, 12) : '';
}

// commit returns the commit of a build or an image, with the number of its pull request if it is of
// one.
export function commit(b) {
  const of = b.pull_request ? `#${b.pull_request} ` : '';
  return of + short(b.revision || b.tree);
}

// plural writes a number with its noun.
export function plural(n, one, many) {
  return `${n} ${n === 1 ? one : (many ?? `${one}s`)}`;
}
