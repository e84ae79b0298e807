// What became of a command, for a few seconds; a tap sends it away sooner.

import { el, fill, icon } from './dom.js';

const SHOWN_MS = 6000;
const box = document.getElementById('toast');
let timer = 0;

export function toast(text, style) {
  fill(box, el('p', { class: style, onclick: () => fill(box) }, icon(style), text));
  clearTimeout(timer);
  timer = setTimeout(() => fill(box), SHOWN_MS);
}
