// What the events of a build add up to.

// plain is a line of output without the colours that a program gave it. The server has made the
// escape character visible.
export const plain = (text) => text.replaceAll(/\\x1b\[[\d;]*m/g, '');

// BuildModel collects events. Times are in milliseconds since 1970.
export class BuildModel {
  constructor() {
    this.steps = new Map(); // by number
    this.lines = []; // {step, text, kind}
    this.phases = {}; // queue, delivery: {start, end, bytes}
    this.checks = [];
    this.notices = [];
    this.started = undefined;
    this.ended = undefined;
    this.total = 0;
  }

  // add takes in one event.
  add(e) {
    const at = Date.parse(e.time);
    this.started ??= at;
    switch (e.type) {
      case 'resolved':
        this.resolved = e;
        break;
      case 'queued':
        this.phases.queue ??= { start: at };
        this.position = e.position;
        break;
      case 'fetching':
        this.builder = e.builder;
        this.endQueue(at);
        break;
      case 'step':
        this.endQueue(at);
        this.addStep(e.step, at);
        break;
      case 'log':
        this.lines.push({ step: e.step?.number, text: plain(e.text ?? '') });
        break;
      case 'check':
        this.checks.push(e.check ?? { text: e.text });
        this.lines.push({ text: e.text, kind: 'note' });
        break;
      case 'notice':
        this.notices.push(e.text);
        this.lines.push({ text: e.text, kind: 'note' });
        break;
      case 'delivering':
        this.phases.delivery ??= { start: at };
        this.phases.delivery.bytes = e.bytes;
        break;
      case 'done':
      case 'failed':
        this.end(e, at);
        break;
      default:
    }
  }

  addStep(step, at) {
    this.total = Math.max(this.total, step.total ?? 0);
    const known = this.steps.get(step.number) ?? { number: step.number, start: at };
    known.name = step.name || known.name;
    known.state = step.state;
    if (step.state === 'started') known.start = at;
    else known.end = at;
    this.steps.set(step.number, known);
  }

  endQueue(at) {
    if (this.phases.queue) this.phases.queue.end ??= at;
    this.position = undefined;
  }

  // end takes in how the build ended. Without an event its process ended before it did.
  end(e, at) {
    this.ended = at;
    this.endQueue(at);
    if (this.phases.delivery) this.phases.delivery.end = at;
    this.image = e?.image;
    this.failure = e?.failure;
    for (const s of this.steps.values()) s.end ??= at;
  }

  // rows are the parts of the timeline in the order of their start.
  rows() {
    const rows = [...this.steps.values()].map((s) => ({ ...s, kind: s.state }));
    const { queue, delivery } = this.phases;
    if (queue) rows.push({ ...queue, name: 'wait for a place', kind: 'queue' });
    if (delivery) rows.push({ ...delivery, name: 'deliver to the image store', kind: 'delivery' });
    return rows.sort((a, b) => a.start - b.start || (a.number ?? 0) - (b.number ?? 0));
  }

  // progress says in numbers how far a build is.
  progress() {
    if (this.position) return `place ${this.position} in the queue`;
    const steps = [...this.steps.values()];
    const done = steps.filter((s) => s.state !== 'started').length;
    return steps.length
      ? `${done} of ${Math.max(this.total, steps.length)} steps`
      : 'looks for the commit';
  }
}

// stateOf says in one word how a build is, and in which kind of colour.
export function stateOf(b) {
  switch (b.state) {
    case 'queued':
      return [b.position ? `queued, place ${b.position}` : 'queued', 'wait'];
    case 'running':
      return [b.saves ? 'saving the cache' : 'running', 'busy'];
    case 'failed':
      return b.failure?.class === 'cancelled' ? ['cancelled', 'wait'] : ['failed', 'bad'];
    case 'interrupted':
      return ['interrupted', 'bad'];
    default:
      if (b.saves) return ['cache saved', 'good'];
      return b.hits
        ? [b.hits > 1 ? `hit, ${b.hits} times` : 'hit', 'good']
        : [b.image?.outcome ?? 'done', 'good'];
  }
}
