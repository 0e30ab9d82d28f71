// The page that publishes a test message and watches where it goes.
import { base, el, problemOf, tell } from './say.js';
import { showProblems } from './form.js';
import { storyOf } from './story.js';

export function publishing({ update, setAddress }) {
  const form = document.querySelector('[data-publish]');
  if (!form) return;
  const topic = form.elements.topic;
  const sent = document.getElementById('sent');
  setAddress(() => `${base}/publish?${new URLSearchParams({ topic: topic.value.trim() })}`);
  let wait = 0;
  topic.addEventListener('input', () => {
    clearTimeout(wait);
    before = null;
    wait = setTimeout(update, 300);
  });

  let before = null; // what was counted before the message
  const totals = () => Object.fromEntries([...document.querySelectorAll('[data-sub]')].map((row) => [row.dataset.sub,
    Object.fromEntries([...row.querySelectorAll('[data-total]')].map((c) => [c.dataset.total, Number(c.dataset.value)]))]));
  document.addEventListener('updated', () => {
    if (!before) return;
    for (const row of document.querySelectorAll('[data-sub]')) {
      for (const cell of row.querySelectorAll('[data-total]')) {
        const more = Number(cell.dataset.value) - (before[row.dataset.sub]?.[cell.dataset.total] ?? 0);
        if (more > 0) cell.textContent = `${cell.textContent} (+${more.toLocaleString('en')})`;
      }
    }
  });

  let following = 0;
  form.addEventListener('submit', async (e) => {
    e.preventDefault();
    showProblems(form, []);
    const v = (name) => form.elements[name].value;
    if (!topic.value.trim()) return showProblems(form, [{ location: 'topic', message: 'is empty; give one such as order.created' }]);
    const headers = { 'Content-Type': v('type').trim() || 'application/json', 'medis-sender': v('sender').trim() || 'panel' };
    if (v('id').trim()) headers['Idempotency-Key'] = v('id').trim();
    if (v('key').trim()) headers['medis-key'] = v('key').trim();
    for (const line of v('headers').split('\n').filter((l) => l.trim())) {
      const colon = line.indexOf(':');
      if (colon < 1) return showProblems(form, [{ location: 'headers', message: `“${line.trim()}” is not Name: value` }]);
      headers[`medis-header-${line.slice(0, colon).trim()}`] = line.slice(colon + 1).trim();
    }
    const button = form.querySelector('[type=submit]');
    button.disabled = true;
    try {
      await update(); // what was counted before
      before = totals();
      const delay = v('delay').trim();
      const r = await fetch(`${base}/api/v1/topics/${encodeURIComponent(topic.value.trim())}/messages${delay ? `?${new URLSearchParams({ delay })}` : ''}`, { method: 'POST', headers, body: v('body') });
      if (!r.ok) {
        const p = await problemOf(r);
        return showProblems(form, p.errors || [], `Not published: ${p.detail}`);
      }
      const { id, warning } = await r.json();
      const state = el('p', {}, warning ? `Redis has it, but ${warning}` : 'Redis has it.');
      const story = el('div');
      sent.replaceChildren(el('h2', {}, 'Your message'), el('p', { class: 'break' }, el('code', {}, id)), state, story);
      sent.hidden = false;
      const mine = ++following;
      for (let i = 0; i < 150 && mine === following; i++) { // five minutes
        await update();
        const told = await storyOf(id, story);
        const subs = Object.keys(totals()).length;
        if (told === 'kept') {
          tell(state, 'It reached no subscription and is kept. Replay it once the cause is removed.');
          break;
        }
        if (told === 'gone' || told === 'settled') {
          if (told === 'gone') story.replaceChildren();
          tell(state, subs === 1 ? 'Settled: the subscription that wanted it has it.' : subs ? `Settled: all ${subs} subscriptions that wanted it have it.` : 'No subscription wants this topic.');
          break;
        }
        await new Promise((done) => setTimeout(done, 500 + 100 * Math.min(i, 20)));
      }
    } catch (err) {
      showProblems(form, [], err instanceof TypeError ? 'It is unknown whether this was published: the dispatcher cannot be reached, or a header is not valid.' : `Not published: ${err.message}`);
    } finally {
      button.disabled = false;
    }
  });
}
