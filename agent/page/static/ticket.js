// A ticket as it comes out of the printer, drawn on paper: monospace, one column a character.

import { Problem, read } from './api.js';
import { show } from './dialog.js';
import { el, fill, said } from './dom.js';
import { t } from './i18n.js';

const BASE64 = /^[A-Za-z0-9+/]+=*$/;
const WIDE = /([\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6])/;
const SVG = 'http://www.w3.org/2000/svg';

/** The elements of drivers/printer/elements.py; a QR code is drawn where its `modules` are given. */
export function paper(elements, width) {
  const sheet = el('div', { class: 'paper ' + (width === 58 ? 'mm58' : 'mm80') });
  for (const element of elements) {
    const draw = BLOCKS[element.type];
    const align = element.align || (element.type === 'qr' ? 'center' : 'left');
    if (draw) sheet.append(el('div', { class: 'row ' + align }, ...draw(element)));
  }
  return sheet;
}

const BLOCKS = {
  text: (line) => line.runs.map(run),
  qr: (code) => [code.modules ? dots(code.modules, code.size || 6) : box(t('ticket.qr'), code.text)],
  image: (picture) => [BASE64.test(picture.png)
    ? el('img', { src: 'data:image/png;base64,' + picture.png, alt: t('ticket.image'), width: picture.width / 2 })
    : box(t('ticket.image'), '')],
  feed: ({ lines }) => {
    const space = el('span', { class: 'feed' });
    space.style.height = 1.35 * Math.min(lines === undefined ? 1 : lines, 8) + 'em';
    return [space];
  },
  cut: () => [el('span', { class: 'cut' })],
};

function box(title, text) {
  return el('span', { class: 'code' }, title, el('br'), said(text));
}

/** `modules`: rows of '0' and '1'; `size`: printer dots a module, of which two are one pixel. */
function dots(modules, size) {
  const n = modules.length;
  const picture = document.createElementNS(SVG, 'svg');
  picture.setAttribute('viewBox', '0 0 ' + n + ' ' + n);
  picture.setAttribute('width', n * size / 2);
  picture.setAttribute('height', n * size / 2);
  picture.setAttribute('role', 'img');
  picture.setAttribute('aria-label', t('ticket.qr'));
  const path = document.createElementNS(SVG, 'path');
  const squares = modules.map((row, y) => Array.from(row, (dot, x) => (dot === '1' ? 'M' + x + ' ' + y + 'h1v1h-1z' : '')));
  path.setAttribute('d', squares.map((row) => row.join('')).join(''));
  picture.append(path);
  return picture;
}

/** A run in one style; wide characters take two columns whatever font the browser has. */
function run({ text, bold, inverse, width, height }) {
  const parts = text.split(WIDE).filter(Boolean);
  const words = el('span', { class: 'run' + (bold ? ' bold' : '') + (inverse ? ' inverse' : '') },
    ...parts.map((part) => (WIDE.test(part) ? el('span', { class: 'wide-char' }, part) : part)));
  const wide = width || 1;
  const stretch = (height || 1) / wide;
  if (wide === 1 && stretch === 1) return words;
  words.style.transform = 'scaleY(' + stretch + ')';
  const room = el('span', { class: 'run' }, words);
  room.style.fontSize = wide + 'em';
  room.style.height = 1.35 * stretch + 'em';
  return room;
}

/** Ask for the ticket of a job and show it. */
export async function preview(job) {
  const body = el('div', { class: 'desk', tabindex: '0' }, t('ticket.loading'));
  show(t('ticket.title', { station: job.station }), body);
  try {
    const ticket = await read('ticket.preview', { job_id: job.job_id });
    fill(body, paper(ticket.elements, ticket.width_mm));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const text = error.code === 'unreachable' ? t('strip.unreachable') : error.message;
    fill(body, el('p', { role: 'alert' }, t('problem.other', { text })));
  }
}
