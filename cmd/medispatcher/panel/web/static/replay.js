// The part of a subscription's page that delivers messages of the archive again. It counts them first, then asks.
import { base, problemOf, say } from './say.js';
import { showProblems } from './form.js';

export function replaying({ ask, count, update }) {
  const form = document.querySelector('form[data-replay]');
  if (!form) return;
  const id = form.dataset.replay;
  const button = form.querySelector('[type=submit]');

  // send returns the answer, or shows what is wrong and returns nothing.
  async function send(asked) {
    const r = await fetch(`${base}/api/v1/subscriptions/${encodeURIComponent(id)}/replay`, {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(asked),
    });
    if (r.ok) return r.json();
    const p = await problemOf(r);
    showProblems(form, p.errors || [], p.detail);
    return undefined;
  }

  form.addEventListener('submit', async (e) => {
    e.preventDefault();
    const asked = {};
    for (const name of ['since', 'until', 'topic']) if (form.elements[name].value.trim()) asked[name] = form.elements[name].value.trim();
    asked.since ??= '';
    button.disabled = true;
    button.setAttribute('aria-busy', 'true');
    try {
      showProblems(form, [], '');
      const counted = await send({ ...asked, dry_run: true });
      if (!counted) return;
      const missing = counted.warning ? ` But ${counted.warning}.` : '';
      if (counted.count.messages === 0) {
        say(`There is nothing to replay: none of ${count(counted.count.looked, 'message')} of that time is for ${id}.${missing}`);
        return;
      }
      if (!await ask({
        title: `Deliver ${count(counted.count.messages, 'message')} to ${id} again?`,
        text: `They become READY in steps, so new messages do not wait behind all of them.${missing}`, yes: 'Replay',
      })) return;
      const begun = await send(asked);
      if (!begun) return;
      say(begun.joined ? 'This replay is under way already.' : 'The replay has begun.');
      form.reset();
      await update();
    } catch (err) {
      say(err instanceof TypeError ? 'The dispatcher cannot be reached, so it is unknown whether this was done. Check, then try again.' : err.message, true);
    } finally {
      button.disabled = false;
      button.removeAttribute('aria-busy');
    }
  });
}
