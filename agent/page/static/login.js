// The PIN: asked where the agent wants one, once at a time.

import { command, me, Problem } from './api.js';
import { form } from './dialog.js';
import { el } from './dom.js';
import { has, t } from './i18n.js';

let asking = null;

/** Let the visitor in as `role`; resolves to whether they are. */
export function login(role) {
  if (!asking) {
    asking = ask(role);
    const over = () => { asking = null; };
    asking.then(over, over);
  }
  return asking;
}

async function ask(role) {
  const visitor = await me();
  if (!visitor.pins.includes(role)) {
    return form(t('login.none'), [el('p', {}, t('login.none.do')), el('code', {}, 'edge-agent page pin ' + role)], null);
  }
  const pin = el('input', {
    id: 'pin', type: 'password', inputmode: 'numeric', autocomplete: 'off', pattern: '[0-9]*', maxlength: 12,
  });
  const wrong = el('p', { role: 'alert', class: 'wrong' });
  const label = el('label', { for: 'pin' }, t('login.pin'));
  const send = async () => {
    try {
      await command('login', { role, pin: pin.value });
      await me();
      return true;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      const key = 'problem.' + error.code;
      wrong.textContent = has(key) ? t(key) : error.message;
      pin.value = '';
      pin.focus();
      return false;
    }
  };
  return form(t('login.' + role), [label, pin, wrong], send);
}

export async function logout() {
  await command('logout');
  location.reload();
}
