// The one dialog of the page: the browser keeps the keyboard inside and closes it on Escape.

import { el, fill } from './dom.js';
import { t } from './i18n.js';

const box = document.getElementById('dialog');

/** Show `content` under a title until it is closed. */
export function show(title, ...content) {
  const close = el('button', { type: 'button', class: 'wide', onclick: () => box.close() }, t('close'));
  open(title, content, close);
}

/** Let one of `options` [{value, text, style}] be chosen; null when the dialog is left. */
export function choose(title, options) {
  return new Promise((resolve) => {
    let chosen = null;
    const pick = (value) => () => {
      chosen = value;
      box.close();
    };
    const buttons = options.map((option) => el(
      'button',
      { type: 'button', class: 'wide ' + (option.style || ''), onclick: pick(option.value) },
      option.text,
    ));
    const back = el('button', { type: 'button', class: 'wide plain', onclick: () => box.close() }, t('cancel'));
    box.addEventListener('close', () => resolve(chosen), { once: true });
    open(title, buttons, back);
  });
}

/** Show `content` with a button that calls `send` until it says true; resolves to that, or false when left. */
export function form(title, content, send) {
  return new Promise((resolve) => {
    let done = false;
    const submit = async (event) => {
      event.preventDefault();
      done = await send();
      if (done) box.close();
    };
    const go = send ? el('button', { class: 'wide big go' }, t('login.go')) : null;
    const back = el('button', { type: 'button', class: 'wide plain', onclick: () => box.close() }, t('cancel'));
    box.addEventListener('close', () => resolve(done), { once: true });
    open(title, [el('form', { class: 'form', onsubmit: submit }, ...content, go)], back);
  });
}

function open(title, content, last) {
  const heading = el('h2', { id: 'dialog-title' }, title);
  box.setAttribute('aria-labelledby', 'dialog-title');
  fill(box, heading, ...content, last);
  if (!box.open) box.showModal();
}
