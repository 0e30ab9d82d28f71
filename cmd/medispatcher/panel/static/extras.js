// What a dispatcher may have to tell or not: alerts that fire, and the story of a message.
import { el } from './say.js';

const text = (v) => (typeof v === 'string' ? v : JSON.stringify(v));

// alerts shows those that fire, all or those of a subscription.
export function alerts(every) {
  const place = document.querySelector('[data-alerts]');
  if (!place) return;
  const of = place.dataset.alerts;
  let shown = '';
  const look = async () => {
    if (!document.hidden) {
      const r = await fetch('/api/v1/alerts', { cache: 'no-store' }).catch(() => null);
      if (r && r.status === 404) return; // this one has no alerts
      if (r && r.ok) {
        const firing = ((await r.json()).firing || []).filter((a) => !of || a.subscription === of);
        const now = JSON.stringify(firing.map((a) => [a.rule, a.subscription, a.line, a.since]));
        if (now !== shown) {
          shown = now;
          place.replaceChildren(el('ul', { class: 'findings' }, ...firing.slice(0, 10).map((a) => el('li', { class: 'bad' },
            el('span', {}, el('strong', {}, 'Alert: '), text(a.line || a.rule), ` since ${new Date(a.since).toLocaleString('en-GB')}`),
            ...(a.subscription && !of ? [el('a', { href: `/subscriptions/${encodeURIComponent(a.subscription)}` }, a.subscription)] : [])))));
          place.hidden = firing.length === 0;
        }
      }
    }
    setTimeout(look, 2 * every);
  };
  look();
}

// storyOf fills a place with what became of a message. It answers none where nobody knows, done when
// nothing more can become of it, and else open.
export async function storyOf(id, place) {
  const r = await fetch(`/api/v1/messages/${encodeURIComponent(id)}`, { cache: 'no-store' }).catch(() => null);
  if (!r || !r.ok) return 'none';
  const story = await r.json();
  const steps = story.steps || story.events || story.copies || story.subscriptions || [];
  if (!Array.isArray(steps)) return 'none';
  place.replaceChildren(el('ol', { class: 'history' }, ...steps.map((s) => {
    const when = s.time || s.at;
    const rest = Object.entries(s).filter(([k, v]) => !['time', 'at'].includes(k) && v !== null && v !== '' && typeof v !== 'object');
    return el('li', {}, el('span', {}, when ? new Date(when).toLocaleTimeString('en-GB') : (s.subscription || s.id || '')), el('span', { class: 'break' }, rest.map(([k, v]) => `${k}: ${text(v)}`).join(', ')));
  })));
  return story.done === true ? 'done' : 'open';
}

// story shows what is known of the message of this page.
export async function story() {
  const place = document.querySelector('[data-story]');
  if (!place) return;
  const inner = el('div');
  if (await storyOf(place.dataset.story, inner) === 'none' || !inner.textContent) return;
  place.replaceChildren(el('h2', {}, 'What became of it'), inner);
  place.hidden = false;
}
