// The charts of how long things take, what fails and what waits.
import { base, el } from './say.js';
import { number, plotOf, short, switchOf } from './plot.js';

const EVERY = 10000; // they change by the minute
const STEPS = [['minute', '60 min'], ['hour', '24 h']];
const SHARES = [['p50', 'half within'], ['p90', '90 % within'], ['p99', '99 % within']];
const SHOWN = 5; // statuses

const round = (n) => (n < 10 ? Math.round(n * 10) / 10 : Math.round(n));
function millis(ms) {
  if (ms < 1000) return `${ms < 1 ? Math.round(ms * 100) / 100 : round(ms)} ms`;
  return words(ms / 1000);
}
function words(s) {
  return s < 60 ? `${round(s)} s` : s < 3600 ? `${round(s / 60)} min` : s < 172800 ? `${round(s / 3600)} h` : `${round(s / 86400)} days`;
}
const sum = (values) => values.reduce((a, b) => a + b, 0);

export function times(figure) {
  const subscription = figure.dataset.subscription;
  const plots = {};
  const part = (name, title, help) => {
    plots[name] = plotOf(title, 160);
    const p = plots[name];
    return el('div', {}, el('h3', {}, title), el('p', { class: 'help' }, help), p.legend, p.plot, p.readout, p.table);
  };
  let step = 'minute';
  let asked = 0;
  const steps = switchOf('Time shown', STEPS, step, (s) => {
    step = s;
    asked = 0;
    update();
  });
  figure.replaceChildren(el('div', { class: 'chart-head' }, steps),
    el('div', { class: 'two' },
      part('latency', 'Latency', 'From publishing to the delivery, waits and retries among it.'),
      part('took', 'Answer time', 'How long an attempt waited for the worker, failed ones among them.'),
      part('errors', 'Failed attempts by status', 'Attempts, not messages.'),
      part('backlog', 'Backlog', 'The most that waited in the channels, and its drain time.')));

  // shares are the lines of quantiles.
  function shares(t, list, one, many) {
    const n = sum(list.map((q) => q.count));
    return {
      step: t.step, end: t.end, format: millis, axis: millis, least: 0.1, partial: false,
      lines: SHARES.map(([name, label]) => ({ name, label, values: list.map((q) => (q.count ? q[name] : null)) })),
      said: () => `${number(n)} ${n === 1 ? one : many} in all`,
      at: (i) => (list[i].count ? `${SHARES.map(([name, label]) => `${label} ${millis(list[i][name])}`).join(', ')}, of ${number(list[i].count)}` : 'none'),
    };
  }
  function errors(t) {
    const zero = t.latency.map(() => 0);
    const classes = Object.entries(t.errors).sort(([, a], [, b]) => sum(b) - sum(a));
    const shown = classes.slice(0, classes.length > SHOWN ? SHOWN - 1 : SHOWN).map(([label, values]) => ({ label: label === 'none' ? 'no answer' : label, values }));
    if (classes.length > SHOWN) shown.push({ label: 'others', values: zero.map((_, i) => sum(classes.slice(SHOWN - 1).map(([, v]) => v[i]))) });
    if (!shown.length) shown.push({ label: 'failed attempts', values: zero });
    const lines = shown.map((l, i) => ({ ...l, name: `l${i + 1}` }));
    return {
      step: t.step, end: t.end, lines, format: number, axis: short, least: 2, partial: true,
      said: () => (classes.length ? `in all: ${lines.map((l) => `${number(sum(l.values))} × ${l.label}`).join(', ')}` : 'none failed'),
    };
  }
  function backlog(t) {
    const drain = (i) => {
      if (!t.backlog[i]) return '';
      const seconds = i === t.backlog.length - 1 ? Math.max(1, Date.now() / 1000 - t.end) : t.step;
      return t.sent[i] ? `, ${words((t.backlog[i] * seconds) / t.sent[i])} to drain at the rate of that time` : ', and nothing was delivered';
    };
    const last = t.backlog.length - 1;
    const said = (i) => (t.backlog[i] === null ? 'not known' : `${number(t.backlog[i])} waiting${drain(i)}`);
    return {
      step: t.step, end: t.end, lines: [{ name: 'l1', label: 'Messages waiting', values: t.backlog, area: !t.backlog.includes(null) }], format: number, axis: short, least: 2, partial: false,
      said: () => `lately: ${said(t.backlog[last] === null ? last - 1 : last)}`, at: said,
    };
  }

  async function update() {
    if (Date.now() - asked < EVERY) return;
    asked = Date.now();
    const of = step;
    const q = new URLSearchParams({ step });
    if (subscription) q.set('subscription', subscription);
    const r = await fetch(`${base}/api/v1/stats/times?${q}`, { cache: 'no-store' }).catch(() => null);
    if (!r || !r.ok || of !== step) return; // the page says that it is stale
    const t = await r.json();
    plots.latency.show(shares(t, t.latency, 'delivery', 'deliveries'));
    plots.took.show(shares(t, t.took, 'attempt', 'attempts'));
    plots.errors.show(errors(t));
    plots.backlog.show(backlog(t));
  }
  return { update };
}
