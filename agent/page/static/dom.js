// Elements without markup: whatever a stranger wrote goes in as text, never as HTML.

const SVG = 'http://www.w3.org/2000/svg';

/** el('p', {class: 'quiet', onclick: f}, 'text', node, null) */
export function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  fill(node, ...children);
  return node;
}

/** A stranger's words, fenced so that right-to-left tricks end with them. */
export function said(text) {
  const node = document.createElement('bdi');
  node.textContent = text;
  return node;
}

export function fill(node, ...children) {
  node.textContent = '';
  for (const child of children) {
    if (child !== null && child !== undefined) node.append(child);
  }
}

const ICONS = {
  ok: 'M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm-1.6 14.6L6 12.2l1.7-1.7 2.7 2.7 5.9-5.9L18 9z',
  warn: 'M12 2.5 1.2 21.5h21.6zM11 9.5h2v6h-2zm0 7.6h2v2h-2z',
  bad: 'M8 2h8l6 6v8l-6 6H8l-6-6V8zm3 5v7h2V7zm0 8.6v2h2v-2z',
  bell: 'M12 2a2 2 0 0 1 2 2 6 6 0 0 1 4 6v5l2 3H4l2-3v-5a6 6 0 0 1 4-6 2 2 0 0 1 2-2zm-2.5 17h5a2.5 2.5 0 0 1-5 0z',
  cloud: 'M7 18a5 5 0 0 1-.7-9.95A6 6 0 0 1 17.8 9.1 4.5 4.5 0 0 1 17.5 18zm4-8.5v3H8.8L12 16l3.2-3.5H13v-3z',
  todo: 'M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm0 2.500a7.500 7.500 0 1 1 0 15 7.500 7.500 0 0 1 0-15z',
  clock: 'M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm-1 5h2v4.6l3.4 2-1 1.7L11 12.8z',
  printer: 'M7 3h10v4H7zM4 8h16a2 2 0 0 1 2 2v7h-4v4H6v-4H2v-7c0-1.1.9-2 2-2zm4 6v5h8v-5zm10-3.5v2h2v-2z',
  paper_out: 'M7 3h10v4H7zM4 8h16a2 2 0 0 1 2 2v7h-3v-3H5v3H2v-7c0-1.1.9-2 2-2zm3 8h2v2H7zm4 0h2v2h-2zm4 0h2v2h-2zM7 20h2v2H7zm4 0h2v2h-2zm4 0h2v2h-2z',
  cover_open: 'M3.2 6.2 18.6 1l.8 2.3L4 8.5zM4 10h16a2 2 0 0 1 2 2v6h-4v4H6v-4H2v-6c0-1.1.9-2 2-2zm4 6v4h8v-4z',
  unreachable: 'M3.4 2 22 20.6 20.6 22l-4.6-4.6H16V21H8v-4H4v-6c0-.8.5-1.5 1.2-1.8L2 3.4zM8 3h8v4h-5.200L8 4.200zM12.800 8H18a2 2 0 0 1 2 2v5.200z',
};

ICONS.offline = ICONS.unreachable;
ICONS.stalled = ICONS.cover_open;

/** A picture beside words that say the same, so it is hidden from screen readers. */
export function icon(name) {
  const node = document.createElementNS(SVG, 'svg');
  node.setAttribute('viewBox', '0 0 24 24');
  node.setAttribute('class', 'icon');
  node.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', ICONS[name] || ICONS.bad);
  path.setAttribute('fill-rule', 'evenodd');
  node.append(path);
  return node;
}

/**
 * Make the children of `parent` those of `items`, building anew only what changed, so that neither
 * the place on the page nor the keyboard's focus is lost.
 */
export function sync(parent, items, keyOf, build, mark) {
  const old = new Map();
  for (const node of Array.from(parent.children)) old.set(node.dataset.key, node);
  let at = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    const stamp = mark + JSON.stringify(item);
    let node = old.get(key);
    old.delete(key);
    if (!node || node.stamp !== stamp) {
      const fresh = build(item);
      fresh.dataset.key = key;
      fresh.stamp = stamp;
      if (node) {
        const focused = node.contains(document.activeElement) && document.activeElement;
        if (at === node) at = fresh;
        parent.replaceChild(fresh, node);
        if (focused) refocus(fresh, focused);
      }
      node = fresh;
    }
    if (node === at) at = at.nextElementSibling;
    else parent.insertBefore(node, at);
  }
  for (const node of old.values()) node.remove();
}

/** After `focused` was replaced: to the button that does the same, else to the first one. */
export function refocus(node, focused) {
  const same = Array.from(node.querySelectorAll('button')).find(
    (button) => button.dataset.act && button.dataset.act === focused.dataset.act,
  );
  const target = same || node.querySelector('button');
  if (target) target.focus();
}
