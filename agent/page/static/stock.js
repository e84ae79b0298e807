// What is running out or sold out, and the switch back.

import { el, fill, icon, refocus, said } from './dom.js';
import { t } from './i18n.js';

const DONE = { true: 'stock.done.back', false: 'stock.done.out' };

/** A switch of one dish; `available` is what it is set to. */
export function button(goods, available, app) {
  const name = goods.name || goods.sku;
  return el('button', {
    type: 'button',
    class: 'plain',
    'data-act': 'stock-' + goods.sku,
    'aria-label': t(available ? 'stock.back' : 'stock.out') + ': ' + name,
    onclick: (event) => app.run(
      event.currentTarget,
      'stock.set',
      { sku: goods.sku, name: goods.name || null, available },
      t(DONE[available], { name }),
    ),
  }, t(available ? 'stock.back' : 'stock.out'));
}

function row(goods, app) {
  const out = !goods.available;
  const mark = out ? t('stock.is.out') : t('stock.left', { n: goods.left });
  return el('li', { class: 'stock' },
    el('span', { class: 'what' }, said(goods.name || goods.sku)),
    el('span', { class: 'chip ' + (out ? 'bad' : 'warn') }, icon(out ? 'bad' : 'warn'), mark),
    button(goods, out, app));
}

export function render(box, stock, app) {
  const mark = JSON.stringify(stock) + app.mark();
  if (box.mark === mark) return;
  box.mark = mark;
  box.parentNode.hidden = stock.length === 0;
  const focused = box.contains(document.activeElement) && document.activeElement;
  fill(box, ...stock.map((goods) => row(goods, app)));
  if (focused) refocus(stock.length ? box : document, focused);
}
