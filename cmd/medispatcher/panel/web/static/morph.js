// morph makes one element like another and keeps every node that can stay, so that focus, selection, scroll positions,
// opened parts and ticked boxes survive an update. Rows are recognized by their data-key.
export function morph(from, to) {
  for (const { name, value } of [...to.attributes]) if (from.getAttribute(name) !== value && !own(from, name)) from.setAttribute(name, value);
  for (const { name } of [...from.attributes]) if (!to.hasAttribute(name) && !own(from, name)) from.removeAttribute(name);
  const keyed = new Map();
  for (const child of from.children) if (child.dataset.key) keyed.set(child.dataset.key, child);
  let at = from.firstChild;
  for (const want of [...to.childNodes]) {
    const key = want.nodeType === 1 ? want.dataset.key : undefined;
    let have = key ? keyed.get(key) : at;
    if (have && !key && !alike(have, want)) have = null;
    if (!have || !alike(have, want)) {
      from.insertBefore(document.importNode(want, true), at);
      continue;
    }
    if (have !== at) from.insertBefore(have, at);
    else at = at.nextSibling;
    if (have.nodeType === 1) morph(have, want);
    else if (have.nodeValue !== want.nodeValue) have.nodeValue = want.nodeValue;
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

const alike = (x, y) => x.nodeType === y.nodeType && x.nodeName === y.nodeName && (x.nodeType !== 1 || (x.dataset.key || '') === (y.dataset.key || ''));

// What the page itself or its user changed is not the server's.
const own = (el, name) => name === 'open' || name === 'aria-busy' || name === 'hidden' || (name === 'disabled' && (el.matches('[data-selected]') || el.hasAttribute('aria-busy')));
