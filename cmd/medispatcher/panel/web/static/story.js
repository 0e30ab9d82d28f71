// The story of a message.
import { base, el } from './say.js';
import { clock as time, stamp } from './zone.js';

const clock = (t) => el('time', { datetime: t, title: stamp(new Date(t)) }, time(new Date(t)));
const PLACES = { INCOMING: 'before its fan-out', DELAYED: 'not due yet', READY: 'waits to be read', BURIED: 'read, not settled', DEAD: 'attempts exhausted', UNROUTED: 'kept', QUARANTINE: 'kept' };

function placeItem(p) {
  const about = [];
  if (p.attempt) about.push(`attempt ${p.attempt}`);
  if (p.dispatcher) about.push(`in flight in ${p.dispatcher}`);
  if (p.due) about.push(`due ${time(new Date(p.due))}`);
  if (p.since) about.push(`since ${time(new Date(p.since))}`);
  if (p.reason) about.push(p.reason);
  if (p.failure) about.push(`last answer: ${p.failure.last_error} (${p.failure.target})`);
  const where = p.subscription ? el('a', { href: `${base}/subscriptions/${encodeURIComponent(p.subscription)}${p.state === 'DEAD' ? '/dead' : ''}` }, p.subscription) : p.kept ? el('a', { href: `${base}/${p.state.toLowerCase()}/${p.kept}` }, 'the message') : 'the message';
  return el('li', {}, el('span', {}, where), el('span', { class: 'break' }, el('strong', {}, p.state), ` ${PLACES[p.state] || ''}`, about.length ? `; ${about.join(', ')}` : ''));
}

function eventItem(e) {
  const about = [];
  if (e.subscriptions) about.push(`to ${e.subscriptions.join(', ')}`);
  if (e.filtered) about.push(`not to ${e.filtered.join(', ')}, whose filter refused it`);
  if (e.subscription) about.push(e.subscription);
  if (e.attempt) about.push(`attempt ${e.attempt}`);
  if (e.target) about.push(e.target);
  if (e.took_ms) about.push(`${Math.round(e.took_ms * 10) / 10} ms`);
  if (e.error) about.push(e.error);
  return el('li', {}, clock(e.time), el('span', { class: 'break' }, el('strong', {}, e.what), about.length ? ` ${about.join(', ')}` : ''));
}

// storyOf fills an element with where a message is and what happened to it. It returns gone when nothing is known of the
// message, kept when it reached no channel, settled when it has left Redis, unknown when the dispatcher cannot say, else open.
export async function storyOf(id, place) {
  const r = await fetch(`${base}/api/v1/messages/${encodeURIComponent(id)}`, { cache: 'no-store' }).catch(() => null);
  if (r && r.status === 404) return 'gone';
  if (!r || !r.ok) return 'unknown';
  const s = await r.json();
  const places = s.places || [], events = s.events || [];
  const list = (title, items) => (items.length ? [el('h3', {}, title), el('ol', { class: 'history' }, ...items)] : []);
  place.replaceChildren(...list('Where it is', places.slice(0, 50).map(placeItem)), ...list('What happened', events.map(eventItem)),
    ...(s.searched === false ? [el('p', { class: 'help' }, 'Some streams are too long to search in full: it may be in others as well.')] : []));
  if (places.length && places.every((p) => p.kept)) return 'kept';
  return places.length || s.searched === false ? 'open' : 'settled';
}

// story shows what is known of the message of a page.
export async function story() {
  const place = document.querySelector('[data-story]');
  if (place) {
    const inner = el('div');
    await storyOf(place.dataset.story, inner);
    if (inner.textContent) {
      place.replaceChildren(el('h2', {}, 'What is known of the message'), inner);
      place.hidden = false;
    }
  }
  const find = document.querySelector('[data-message]'); // the text of a search, which may be an id
  if (find) {
    const found = find.querySelector('[data-found]');
    const inner = el('div');
    const told = await storyOf(find.dataset.message, inner);
    if (told === 'gone' && document.querySelector('.hits')) find.remove();
    else if (told === 'gone') found.replaceChildren(el('p', { class: 'empty' }, 'Nothing is known of a message with this id: every subscription has it, it was purged, or it never existed. MEDIS_HISTORY records what happens to messages.'));
    else if (told !== 'unknown') found.append(inner);
  }
}
