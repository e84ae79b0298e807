// The last of the log, as it is written.

import { el, fill } from './dom.js';
import { time } from './format.js';

const KEPT = 300; // lines

let last = 0;
let lines = [];

export function after() {
  return last;
}

/** `found` is {lines: [{n, t, level, text}], last}. */
export function render(box, found, now, follow) {
  if (found.last < last) lines = []; // the agent has started anew
  last = found.last;
  if (!found.lines.length && box.childElementCount) return;
  lines = lines.concat(found.lines).slice(-KEPT);
  fill(box, ...lines.map((line) => el('span', { class: 'log ' + line.level.toLowerCase() },
    time(line.t, now) + ' ' + line.level + ' ' + line.text + '\n')));
  if (follow) box.scrollTop = box.scrollHeight;
}
