// Elements are built from text only; nothing that came over the wire is ever read as HTML.

export const byId = (id) => document.getElementById(id);

export function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined && text !== null) node.textContent = String(text);
  return node;
}

export function write(node, text) {
  if (node.textContent !== String(text)) node.textContent = String(text);
}

export function two(n) { return String(n).padStart(2, "0"); }

export function clockTime(ms) {
  const at = new Date(ms);
  return two(at.getHours()) + ":" + two(at.getMinutes()) + ":" + two(at.getSeconds());
}
