// A chart of what was received, sent and failed. It is drawn as SVG to the width that there is, reads out the
// values at a time under the pointer or the arrow keys, and has them all in a table.
import { base, el, tell } from './say.js';
import { clock as time } from './zone.js';

const SVG = 'http://www.w3.org/2000/svg';
const HEIGHT = 200;
const LEFT = 48, RIGHT = 6, TOP = 10, BOTTOM = 24;
const STEPS = [['second', '60 s', 'per second'], ['minute', '60 min', 'per minute'], ['hour', '24 h', 'per hour']];
const NAMES = [['received', 'Received'], ['sent', 'Sent'], ['failed', 'Failed']];

const svg = (name, attributes, text) => {
  const e = document.createElementNS(SVG, name);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  if (text !== undefined) e.textContent = text;
  return e;
};
const number = (n) => n.toLocaleString('en');
const clock = (s, step) => time(new Date(s * 1000), step < 60);

// niceTop is a round number not below n, of which half is round, too.
function niceTop(n) {
  const power = 10 ** Math.floor(Math.log10(Math.max(n, 1)));
  return [1, 2, 4, 6, 8, 10].map((f) => f * power).find((v) => v >= Math.max(n, 2)) || n;
}
const short = (n) => (n >= 1e6 ? `${+(n / 1e6).toFixed(1)}M` : n >= 1e4 ? `${+(n / 1e3).toFixed(1)}k` : number(n));

export function chart(figure) {
  const subscription = figure.dataset.subscription;
  let step = localStorage.getItem('chart-step') || 'minute';
  if (!STEPS.some(([s]) => s === step)) step = 'minute';
  let series = null;
  let cursor = -1;

  const buttons = STEPS.map(([s, label]) => {
    const b = el('button', { type: 'button', 'aria-pressed': String(s === step) }, label);
    b.addEventListener('click', () => {
      step = s;
      localStorage.setItem('chart-step', s);
      buttons.forEach((other, i) => other.setAttribute('aria-pressed', String(STEPS[i][0] === s)));
      cursor = -1;
      update();
    });
    return b;
  });
  const legend = el('ul', { class: 'legend', 'aria-label': 'Lines' });
  const plot = el('div', { class: 'plot', tabindex: '0', role: 'img' });
  const readout = el('p', { class: 'readout', 'aria-live': 'polite' });
  const body = el('tbody');
  const head = el('tr');
  const table = el('details', {}, el('summary', {}, 'The figures as a table'), el('div', { tabindex: '0' }, el('table', {}, el('thead', {}, head), body)));
  figure.replaceChildren(el('div', { class: 'chart-head' }, el('div', { class: 'switch', role: 'group', 'aria-label': 'Time shown' }, ...buttons), legend), plot, readout, table);

  const at = (i) => series.end - (count() - 1 - i) * series.step;
  const count = () => series.counts.sent.length;
  const lines = () => NAMES.filter(([n]) => series.counts[n]);

  function draw() {
    if (!series) return;
    const width = Math.max(plot.clientWidth, 200);
    const n = count();
    const top = niceTop(Math.max(...lines().flatMap(([name]) => series.counts[name])));
    const x = (i) => LEFT + (i * (width - LEFT - RIGHT)) / (n - 1);
    const y = (v) => TOP + (1 - v / top) * (HEIGHT - TOP - BOTTOM);
    const picture = svg('svg', { viewBox: `0 0 ${width} ${HEIGHT}`, 'aria-hidden': 'true' });
    for (const v of [0, top / 2, top]) {
      picture.append(svg('line', { class: 'grid', x1: LEFT, x2: width - RIGHT, y1: y(v), y2: y(v) }), svg('text', { x: LEFT - 8, y: y(v) + 4, 'text-anchor': 'end' }, short(v)));
    }
    const marks = width < 480 ? 2 : 4;
    for (let m = 0; m <= marks; m++) {
      const i = Math.round((m * (n - 1)) / marks);
      picture.append(svg('text', { x: x(i), y: HEIGHT - 6, 'text-anchor': m === 0 ? 'start' : m === marks ? 'end' : 'middle' }, clock(at(i), series.step)));
    }
    for (const [name] of lines()) {
      const path = series.counts[name].map((v, i) => `${i ? 'L' : 'M'}${x(i).toFixed(1)} ${y(v).toFixed(1)}`).join('');
      if (name === 'sent') picture.append(svg('path', { class: 'area', d: `${path}L${x(n - 1)} ${y(0)}L${LEFT} ${y(0)}Z` }));
      picture.append(svg('path', { class: name, d: path }));
    }
    if (cursor >= 0) picture.append(svg('line', { class: 'cursor', x1: x(cursor), x2: x(cursor), y1: TOP, y2: HEIGHT - BOTTOM }));
    plot.replaceChildren(picture);
    const per = STEPS.find(([s]) => s === step)[2];
    const sums = lines().map(([name, label]) => `${label} ${number(series.counts[name].reduce((a, b) => a + b, 0))}`).join(', ');
    plot.setAttribute('aria-label', `Chart ${per}, ${clock(at(0), series.step)} to ${clock(at(n - 1), series.step)}. In all: ${sums}. Arrow keys read out values.`);
    tell(readout, cursor < 0 ? `${per}; in all: ${sums}` : `${clock(at(cursor), series.step)}: ${lines().map(([name, label]) => `${label} ${number(series.counts[name][cursor])}`).join(', ')} ${per}`);
    readout.setAttribute('aria-live', cursor < 0 ? 'off' : 'polite');
    if (legend.children.length !== lines().length) legend.replaceChildren(...lines().map(([name, label]) => el('li', { class: name }, label)));
    if (table.open) fill();
  }
  function fill() {
    if (!series) return;
    head.replaceChildren(el('th', { scope: 'col' }, 'Time'), ...lines().map(([, label]) => el('th', { scope: 'col', class: 'num' }, label)));
    const rows = [];
    for (let i = count() - 1; i >= 0; i--) rows.push(el('tr', {}, el('th', { scope: 'row' }, clock(at(i), series.step)), ...lines().map(([name]) => el('td', { class: 'num' }, number(series.counts[name][i])))));
    body.replaceChildren(...rows);
  }
  async function update() {
    const asked = step;
    const q = new URLSearchParams({ step });
    if (subscription) q.set('subscription', subscription);
    const r = await fetch(`${base}/api/v1/stats/series?${q}`, { cache: 'no-store' }).catch(() => null);
    if (!r || !r.ok || asked !== step) return; // the page says that it is stale
    series = await r.json();
    draw();
  }
  const move = (i) => {
    cursor = i < 0 ? -1 : Math.min(i, count() - 1);
    draw();
  };
  plot.addEventListener('pointermove', (e) => {
    if (!series) return;
    const box = plot.getBoundingClientRect();
    move(Math.max(0, Math.round(((e.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT)) * (count() - 1))));
  });
  plot.addEventListener('pointerleave', () => series && move(-1));
  plot.addEventListener('blur', () => series && move(-1));
  plot.addEventListener('keydown', (e) => {
    if (!series) return;
    const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[e.key];
    if (by) move(Math.max(0, (cursor < 0 ? count() : cursor) + by));
    else if (e.key === 'Home') move(0);
    else if (e.key === 'End') move(count() - 1);
    else if (e.key === 'Escape') move(-1);
    else return;
    e.preventDefault();
  });
  document.addEventListener('zone', draw);
  table.addEventListener('toggle', fill);
  new ResizeObserver(draw).observe(plot);
  return { update };
}
