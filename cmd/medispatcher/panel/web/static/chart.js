// The chart of what was received, delivered and failed.
import { base, el } from './say.js';
import { number, plotOf, short, switchOf } from './plot.js';

const STEPS = [['second', '60 s', 'per second'], ['minute', '60 min', 'per minute'], ['hour', '24 h', 'per hour']];
const NAMES = [['received', 'Messages received'], ['sent', 'Deliveries'], ['failed', 'Failed attempts']];

export function chart(figure) {
  const subscription = figure.dataset.subscription;
  let step = localStorage.getItem('chart-step') || 'minute';
  if (!STEPS.some(([s]) => s === step)) step = 'minute';
  const plot = plotOf('Throughput', 200);
  const steps = switchOf('Time shown', STEPS, step, (s) => {
    step = s;
    localStorage.setItem('chart-step', s);
    update();
  });
  figure.replaceChildren(el('div', { class: 'chart-head' }, steps, plot.legend), plot.plot, plot.readout, plot.table);

  async function update() {
    const asked = step;
    const q = new URLSearchParams({ step });
    if (subscription) q.set('subscription', subscription);
    const r = await fetch(`${base}/api/v1/stats/series?${q}`, { cache: 'no-store' }).catch(() => null);
    if (!r || !r.ok || asked !== step) return; // the page says that it is stale
    const series = await r.json();
    const lines = NAMES.filter(([n]) => series.counts[n]).map(([name, label]) => ({ name, label, values: series.counts[name], area: name === 'sent' }));
    const per = STEPS.find(([s]) => s === asked)[2];
    const sums = lines.map((l) => `${l.label} ${number(l.values.reduce((a, b) => a + b, 0))}`).join(', ');
    plot.show({ step: series.step, end: series.end, lines, format: number, axis: short, least: 2, partial: asked !== 'second', said: () => `${per}; in all: ${sums}` });
  }
  return { update };
}
