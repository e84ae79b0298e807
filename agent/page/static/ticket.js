// A ticket as it comes out of the printer, drawn on paper: monospace, one column a character.

import { Problem, read } from './api.js';
import { show } from './dialog.js';
import { el, fill, said } from './dom.js';
import { t } from './i18n.js';

const BASE64 = /^[A-Za-z0-9+/]+=*$/;

/**
 * The elements of a ticket, in their order:
 * {kind: 'text', text, bold, underline, invert, width, height, align}  - runs; '\n' ends a line
 * {kind: 'image', data: base64 PNG, align}   {kind: 'qr', data, align}
 * {kind: 'feed', lines}                      {kind: 'cut'}
 */
export function paper(elements, width) {
  const sheet = el('div', { class: 'paper ' + (width === 58 ? 'mm58' : 'mm80') });
  let line = null;
  const begin = (align) => {
    line = el('div', { class: 'row ' + (['center', 'right'].includes(align) ? align : 'left') });
    sheet.append(line);
  };
  for (const element of elements) {
    if (element.kind === 'text') {
      element.text.split('\n').forEach((part, n) => {
        if (n > 0) line = null;
        if (part === '' && n > 0 && n === element.text.split('\n').length - 1) return;
        if (!line) begin(element.align);
        line.append(run(part, element));
      });
    } else {
      if (line) line = null;
      const block = BLOCKS[element.kind];
      if (block) {
        begin(element.align || 'center');
        line.append(block(element));
        line = null;
      }
    }
  }
  return sheet;
}

const BLOCKS = {
  image: (element) => (BASE64.test(element.data)
    ? el('img', { src: 'data:image/png;base64,' + element.data, alt: t('ticket.image') })
    : el('span', { class: 'code' }, t('ticket.image'))),
  qr: (element) => el('span', { class: 'code' }, t('ticket.qr'), el('br'), said(String(element.data))),
  feed: (element) => {
    const space = el('span', { class: 'feed' });
    space.style.height = 1.35 * Math.min(element.lines || 1, 12) + 'em';
    return space;
  },
  cut: () => el('span', { class: 'cut' }),
};

function run(text, { bold, underline, invert, width, height }) {
  const marks = [bold && 'bold', underline && 'underline', invert && 'invert'].filter(Boolean);
  const node = el('span', { class: 'run ' + marks.join(' ') }, text || '\u00a0');
  const wide = within(width);
  const tall = within(height);
  if (wide > 1 || tall > 1) {
    node.style.fontSize = wide + 'em';
    node.style.lineHeight = String(1.35 * tall / wide);
    node.style.transform = 'scaleY(' + tall / wide + ')';
  }
  return node;
}

function within(size) {
  return Math.min(8, Math.max(1, size || 1));
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
