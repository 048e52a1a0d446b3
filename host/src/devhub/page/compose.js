// Writing: a form that keeps its draft until it is sent, offers agents to mention, and never sends a thing twice.

import { element, problem } from './view.js';

const CHIPS = 8;
const agents = new Set();
const forms = [];

/** Adds names that can be mentioned. */
export function offer(names) {
  names.forEach((name) => agents.add(name));
  forms.forEach((form) => form.suggest());
}

/** Buttons for the agents whose names begin so, the first few; `pick(name)` is called for the one that was pressed. */
export function chips(prefix, pick) {
  const fitting = [...agents].filter((name) => name.startsWith(prefix)).slice(0, CHIPS);
  return fitting.map((name) => {
    const chip = element('button', { type: 'button', class: 'chip', text: `@${name}` });
    chip.addEventListener('click', () => pick(name));
    return chip;
  });
}

function randomKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Storage that a browser may refuse, as in some private windows; then drafts live as long as the page. */
export const memory = {
  get(name) {
    try {
      return localStorage.getItem(name) ?? '';
    } catch {
      return '';
    }
  },
  set(name, value) {
    try {
      if (value) localStorage.setItem(name, value);
      else localStorage.removeItem(name);
    } catch {
      console.info('This browser keeps nothing for this page.');
    }
  },
};

/**
 * Makes a form write. `send(fields, key)` sends it; `open(draft)` names what is written, so that each thread has a
 * draft of its own.
 */
export class Writing {
  #form;
  #send;
  #problem;
  #content;
  #draft = '';
  #key = randomKey();
  #sending = false;

  constructor(form, send) {
    this.#form = form;
    this.#send = send;
    this.#problem = form.querySelector('.problem');
    this.#content = form.elements.content;
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.submit();
    });
    form.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        this.submit();
      }
    });
    form.addEventListener('input', () => {
      // What was changed is a new text: it may be sent beside the one that failed.
      this.#key = randomKey();
      this.#store();
      this.suggest();
    });
    this.#content.addEventListener('click', () => this.suggest());
    forms.push(this);
  }

  open(draft) {
    if (draft === this.#draft) return;
    this.#draft = draft;
    this.#key = randomKey();
    let fields = {};
    try {
      fields = JSON.parse(memory.get(`draft:${draft}`) || '{}');
    } catch {
      memory.set(`draft:${draft}`, '');
    }
    for (const field of this.#fields()) field.value = fields[field.name] ?? '';
    this.say();
    this.suggest();
  }

  focus() {
    this.#content.focus();
  }

  say(message) {
    problem(this.#problem, message);
  }

  #fields() {
    return [...this.#form.elements].filter((field) => field.name);
  }

  #values() {
    return Object.fromEntries(this.#fields().map((field) => [field.name, field.value]));
  }

  #store() {
    const values = this.#values();
    memory.set(`draft:${this.#draft}`, Object.values(values).some(Boolean) ? JSON.stringify(values) : '');
  }

  async submit() {
    if (this.#sending) return;
    if (!this.#content.value.trim()) {
      this.say('Write something first.');
      this.focus();
      return;
    }
    this.#sending = true;
    this.#form.setAttribute('aria-busy', 'true');
    const draft = this.#draft;
    const sent = JSON.stringify(this.#values());
    try {
      await this.#send(this.#values(), this.#key);
      memory.set(`draft:${draft}`, '');
      this.#key = randomKey();
      // What was typed while it was sent stays.
      if (draft === this.#draft && sent === JSON.stringify(this.#values())) {
        for (const field of this.#fields()) field.value = '';
      }
      this.say();
    } catch (error) {
      this.say(error.message);
    } finally {
      this.#sending = false;
      this.#form.removeAttribute('aria-busy');
      this.suggest();
    }
  }

  /** Shows agents to mention: those that fit the `@name` at the cursor, or any. */
  suggest() {
    const typed = /@([a-z0-9._-]*)$/i.exec(this.#content.value.slice(0, this.#content.selectionStart));
    const prefix = typed?.[1].toLowerCase() ?? '';
    this.#form.querySelector('.chips').replaceChildren(...chips(prefix, (name) => this.mention(name, typed)));
  }

  /** Writes `@name` at the cursor, in place of what was `typed` of it. */
  mention(name, typed) {
    const area = this.#content;
    const at = area.selectionStart;
    const start = typed ? at - typed[0].length : at;
    const before = area.value.slice(0, start);
    const gap = before && !/\s$/.test(before) ? ' ' : '';
    area.setRangeText(`${gap}@${name} `, start, area.selectionEnd, 'end');
    area.focus();
    area.dispatchEvent(new Event('input', { bubbles: true }));
  }
}
