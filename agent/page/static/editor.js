// Settings as a file of TOML: tried while it is written, kept only when nothing is wrong with it.

import { command, Problem, read } from './api.js';
import { choose } from './dialog.js';
import { el, fill, icon, said } from './dom.js';
import { t } from './i18n.js';
import { toast } from './toast.js';

const PAUSE_MS = 600; // without a key, before it is tried

let sheet = null;
let draft = null; // null: as it is on the disk
let timer = 0;
let asked = 0;

/** `behind` runs what needs the PIN. */
export async function open(box, behind) {
  sheet = await read('config.file');
  render(box, behind);
}

export function render(box, behind) {
  if (!sheet) return;
  const area = el('textarea', {
    id: 'settings', rows: 12, spellcheck: 'false', autocapitalize: 'off', autocomplete: 'off',
    'aria-describedby': 'problems', oninput: () => {
      draft = area.value;
      clearTimeout(timer);
      timer = setTimeout(() => behind(attempt), PAUSE_MS);
    },
  });
  area.value = draft === null ? sheet.text : draft;
  const wrong = el('div', { id: 'problems', role: 'status' });

  const show = (problems) => {
    area.setAttribute('aria-invalid', String(problems.length > 0));
    fill(wrong, problems.length
      ? el('ul', { class: 'facts' }, ...problems.map((text) => el('li', { class: 'faulty' }, icon('bad'), said(text), jump(area, text))))
      : el('p', { class: 'fine' }, icon('ok'), t('editor.good')));
  };

  async function attempt() {
    const mine = asked += 1;
    const { problems } = await command('config.try', { text: area.value });
    if (mine === asked) show(problems);
  }

  async function keep() {
    const sure = await choose(t('editor.sure'), [{ value: true, text: t('editor.yes'), style: 'go' }]);
    if (!sure) return;
    try {
      toast(String(await command('config.write', { text: area.value })), 'ok');
      draft = null;
      sheet = Object.assign({}, sheet, { text: area.value, before: sheet.text });
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== 'invalid') throw error;
      show(error.message.split('\n'));
    }
  }

  const button = (key, style, onclick) => el('button', { type: 'button', class: style, onclick }, t(key));
  fill(box,
    el('p', { class: 'quiet' }, t('editor.what', sheet)),
    sheet.writable ? null : el('p', { class: 'wrong' }, t('editor.readonly')),
    el('label', { for: 'settings' }, said(sheet.path)),
    area,
    wrong,
    el('div', { class: 'tools' },
      button('editor.save', 'go', () => behind(keep)),
      sheet.before === null ? null : button('editor.before', '', () => {
        draft = area.value = sheet.before;
        behind(attempt);
      })));
}

/** To the line that a problem names, by its number or by its setting. */
function jump(area, text) {
  const numbered = /line (\d+)/.exec(text);
  const named = /^([\w.-]+):/.exec(text);
  const lines = area.value.split('\n');
  const last = named && named[1].split('.').pop();
  const at = numbered ? Number(numbered[1]) - 1 : lines.findIndex((line) => last && line.trim().startsWith(last));
  if (at < 0 || at >= lines.length) return null;
  const go = () => {
    const start = lines.slice(0, at).join('\n').length + (at ? 1 : 0);
    area.focus();
    area.setSelectionRange(start, start + lines[at].length);
  };
  return el('button', { type: 'button', class: 'plain', onclick: go }, t('editor.line', { n: at + 1 }));
}
