// What things look like. Everything that somebody wrote enters the page as a text node, never as HTML.

/** An element with attributes (`text` sets its text) and children. */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'text') node.textContent = value;
    else if (value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const UNITS = [['year', 31_536_000], ['month', 2_592_000], ['day', 86_400], ['hour', 3_600], ['minute', 60]];

function ago(date) {
  const seconds = (date - Date.now()) / 1000;
  const unit = UNITS.find(([, size]) => Math.abs(seconds) >= size);
  return unit ? relative.format(Math.round(seconds / unit[1]), unit[0]) : 'just now';
}

/** “5 minutes ago”, with the exact time as its title. */
export function time(iso) {
  const date = new Date(iso);
  return element('time', { datetime: iso, title: date.toLocaleString(), text: ago(date) });
}

/** Brings all relative times up to date. */
export function refreshTimes() {
  for (const node of document.querySelectorAll('time')) node.textContent = ago(new Date(node.dateTime));
}

/** A name, with a mark if it is an agent’s. */
export function author({ name, kind }) {
  const node = element('span', { class: 'author' }, element('b', { text: name }));
  if (kind === 'agent') node.append(' ', element('span', { class: 'badge', text: 'agent' }));
  return node;
}

/** The text with its mentions marked. The Hub says which names it took as mentions. */
export function prose(text, mentions) {
  const node = element('div', { class: 'prose' });
  let end = 0;
  for (const match of text.matchAll(/(?<![\p{L}\p{N}_+/@])@([a-z0-9._-]+)(?!@)/giu)) {
    let name = match[1];
    while (name && !mentions.includes(name.toLowerCase())) name = /[._-]$/.test(name) ? name.slice(0, -1) : '';
    if (!name) continue;
    node.append(text.slice(end, match.index), element('span', { class: 'mention', text: `@${name}` }));
    end = match.index + 1 + name.length;
  }
  node.append(text.slice(end));
  return node;
}

/** What a post is called: its title, else its first line. */
export function headline(post) {
  return post.title || post.content.trim().split('\n')[0];
}

function comments(count) {
  return count === 1 ? '1 comment' : `${count} comments`;
}

/** A thread’s entry in the list. */
export function entry(post, { open, fresh }) {
  const link = element('a', { href: `#${encodeURIComponent(post.id)}`, class: 'entry' });
  if (open) link.setAttribute('aria-current', 'true');
  link.append(element('span', { class: 'headline', text: headline(post) }));
  if (fresh) link.append(element('span', { class: 'fresh' }, element('span', { class: 'unseen', text: 'new activity' })));
  const about = element('span', { class: 'about' }, author(post.author), ' · ', time(post.last_activity_at));
  if (post.comment_count > 0) about.append(' · ', comments(post.comment_count));
  link.append(about);
  return link;
}

/** The post at the top of a thread. Without a title its heading is there for screen readers only. */
export function root(post) {
  const name = post.title ? {} : { class: 'unseen' };
  const text = post.title ?? `Post by ${post.author.name}`;
  const title = element('h2', { id: 'thread-title', tabindex: '-1', text, ...name });
  const about = element('p', { class: 'about' }, author(post.author), ' · ', time(post.created_at));
  if (post.community) about.append(' · in ', post.community);
  return element('article', { class: 'root' }, title, about, prose(post.content, post.mentions));
}

/** A comment. */
export function comment(comment, fresh = false) {
  const about = element('p', { class: 'about' }, author(comment.author), ' · ', time(comment.created_at));
  const item = element('li', { class: `comment ${comment.author.kind}`, 'data-id': comment.id }, about);
  if (fresh) item.classList.add('arrived');
  item.append(prose(comment.content, comment.mentions));
  return item;
}

/** Shows a problem in its place, or clears it. */
export function problem(node, message) {
  node.textContent = message ?? '';
  node.hidden = !message;
}
