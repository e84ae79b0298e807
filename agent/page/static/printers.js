// The printers: what keeps one from printing, in words, and what becomes of the tickets that wait.

import { choose } from './dialog.js';
import { el, icon, said, sync } from './dom.js';
import { has, t } from './i18n.js';

const BUSY = ['ready', 'printing'];

function fault(printer) {
  const known = has('fault.' + printer.fault);
  return el('div', { class: 'fault' },
    icon(printer.fault),
    el('p', {},
      el('strong', {}, known ? t('fault.' + printer.fault) : said(printer.fault)),
      el('br'),
      known ? t('fault.' + printer.fault + '.do') : t('fault.other.do')));
}

function resume(printer, app) {
  const go = (choice) => async (event) => {
    const button = event.currentTarget;
    if (choice === 'none' && !(await sure(printer))) return;
    app.run(button, 'printer.resume', { printer: printer.name, choice }, t('printer.resumed', printer));
  };
  const button = (choice, style) => el(
    'button',
    { type: 'button', class: style, 'data-act': 'resume-' + choice, onclick: go(choice) },
    t('printer.resume.' + choice),
  );
  return el('div', { class: 'resume', role: 'group', 'aria-label': t('printer.resume') },
    el('p', {}, t('printer.resume')),
    button('all', 'go'), button('latest', ''), button('none', 'stop'));
}

async function sure(printer) {
  const title = t('printer.resume.sure', { n: printer.waiting });
  return choose(title, [{ value: true, text: t('printer.resume.yes'), style: 'stop' }]);
}

function troubled(printer) {
  return Boolean(printer.fault) || !BUSY.includes(printer.state);
}

function card(printer, app) {
  const well = !troubled(printer);
  const style = well ? 'ok' : printer.fault ? 'bad' : 'warn';
  const word = has('printer.' + printer.state) ? t('printer.' + printer.state) : said(printer.state);
  const choice = printer.waiting > 0 && !printer.fault && !well;
  return el('article', { class: 'printer ' + style, 'aria-label': printer.name },
    el('h3', {}, icon('printer'), said(printer.name),
      el('span', { class: 'chip ' + style }, icon(style), word)),
    printer.fault ? fault(printer) : null,
    printer.waiting > 0 ? el('p', { class: 'waits' }, t('printer.waiting', { n: printer.waiting })) : null,
    printer.scheduled > 0 ? el('p', { class: 'quiet' }, t('printer.scheduled', { n: printer.scheduled })) : null,
    choice ? resume(printer, app) : null);
}

export function render(box, printers, app) {
  const items = printers.length ? printers : [{ name: '' }];
  const build = (printer) => (printer.name ? card(printer, app) : el('p', { class: 'quiet' }, t('printers.none')));
  box.parentNode.classList.toggle('trouble', printers.some(troubled));
  sync(box, items, (printer) => printer.name, build, app.mark());
}
