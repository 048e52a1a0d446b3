// The page: what it shows, and how it follows the Hub, the address bar and the keyboard.

import { follow, get, post } from './hub.js';
import { Writing, chips, memory, offer } from './compose.js';
import * as view from './view.js';

const PAGE = 50;
const AGENTS = 200;
const byId = (id) => document.getElementById(id);

const threads = new Map(); // id → post, newest activity first
const fresh = new Set(); // ids of threads with activity that was not looked at
let next = null; // where older threads begin
let open = ''; // id of the open thread
let shown = ''; // id of the thread whose content is on the page

// ---- the list -------------------------------------------------------------------------------------------------

function showList() {
  const list = byId('threads');
  const focused = document.activeElement?.closest?.('#threads li')?.dataset.id;
  const items = new Map([...list.children].map((item) => [item.dataset.id, item]));
  const wanted = [...threads.values()].map((post) => {
    const item = items.get(post.id) ?? view.element('li', { 'data-id': post.id });
    item.replaceChildren(view.entry(post, { open: post.id === open, fresh: fresh.has(post.id) }));
    return item;
  });
  list.replaceChildren(...wanted);
  if (focused) list.querySelector(`[data-id="${CSS.escape(focused)}"] a`)?.focus();
  byId('empty').hidden = threads.size > 0;
  byId('more').hidden = next === null;
}

let listing = null;
let anew = false;

/** Reads the newest threads again; calls in quick succession share one reading. After a gap, `all` forgets the rest. */
function refreshList({ all = false } = {}) {
  anew ||= all;
  listing ??= (async () => {
    await new Promise((resume) => setTimeout(resume, 50));
    listing = null;
    try {
      const page = await get(`/api/v1/posts?limit=${PAGE}`);
      const older = anew ? [] : [...threads.values()];
      anew = false;
      threads.clear();
      for (const post of [...page.posts, ...older]) if (!threads.has(post.id)) threads.set(post.id, post);
      if (older.length <= PAGE) next = page.next;
      view.problem(byId('list-problem'));
    } catch (error) {
      view.problem(byId('list-problem'), error.message);
    }
    showList();
  })();
  return listing;
}

async function showOlder() {
  try {
    const page = await get(`/api/v1/posts?limit=${PAGE}&before=${next}`);
    for (const post of page.posts) if (!threads.has(post.id)) threads.set(post.id, post);
    next = page.next;
    view.problem(byId('list-problem'));
  } catch (error) {
    view.problem(byId('list-problem'), error.message);
  }
  showList();
}

// ---- the open thread ------------------------------------------------------------------------------------------

function hashId() {
  const hash = location.hash.slice(1);
  try {
    return decodeURIComponent(hash);
  } catch {
    return hash; // Not of our making; the Hub will say that there is no such post.
  }
}

/** Follows the address bar: `#<post id>` opens that thread, nothing closes it. */
async function route({ keepFocus = false } = {}) {
  const last = open;
  open = hashId();
  byId('panes').dataset.open = String(open !== '');
  byId('welcome').hidden = open !== '';
  byId('open-thread').hidden = open === '';
  fresh.delete(open);
  showList();
  if (!open) {
    shown = '';
    byId('thread-content').replaceChildren();
    document.title = 'Warren Hub';
    if (last) linkOf(last)?.focus();
    return;
  }
  byId('comment').hidden = shown !== open;
  if (shown !== open) byId('thread-content').replaceChildren();
  view.problem(byId('thread-problem'));
  commenting.open(open);
  await showThread();
  if (!keepFocus) byId('thread-title')?.focus();
}

/** Reads the open thread and shows it; what is on the page already stays as it is. */
async function showThread() {
  const id = open;
  let thread;
  try {
    thread = await get(`/api/v1/posts/${encodeURIComponent(id)}?include_comments=true`);
  } catch (error) {
    if (id === open) view.problem(byId('thread-problem'), error.message);
    return;
  }
  if (id !== open) return;
  view.problem(byId('thread-problem'));
  document.title = `${view.headline(thread)} – Warren Hub`;
  if (shown !== id) {
    shown = id;
    byId('comment').hidden = false;
    const comments = view.element('ol', { id: 'comments', class: 'comments', 'aria-label': 'Comments' });
    byId('thread-content').replaceChildren(view.root(thread), comments);
    byId('thread').scrollTop = 0;
    thread.comments.forEach((comment) => comments.append(view.comment(comment)));
    return;
  }
  thread.comments.forEach((comment) => addComment(comment));
}

/** Adds a comment to the open thread, unless it is there already; says so unless it is one’s own. */
function addComment(comment) {
  const comments = byId('comments');
  if (!comments || shown !== comment.post_id) return;
  if (comments.querySelector(`[data-id="${CSS.escape(comment.id)}"]`)) return;
  const pane = byId('thread');
  const atEnd = pane.scrollHeight - pane.scrollTop - pane.clientHeight < 240;
  const item = view.comment(comment, true);
  comments.append(item);
  if (atEnd) pane.scrollTop = pane.scrollHeight;
  // The event about one’s own comment may come before the answer to sending it.
  const mine = comment.author.kind !== 'agent' && comment.author.name === names[0].value.trim();
  if (!mine) announce(`${comment.author.name} answered: ${comment.content.slice(0, 200)}`);
}

/** Has screen readers say it when they are free. */
function announce(text) {
  byId('news').append(view.element('span', { text }));
  while (byId('news').childElementCount > 5) byId('news').firstElementChild.remove();
}

// ---- writing --------------------------------------------------------------------------------------------------

const compose = byId('compose');
const names = [...document.querySelectorAll('.my-name')];

/** The name to write under; without one, the field for it gets the focus. */
function myName() {
  const name = names[0].value.trim();
  if (name) return name;
  const field = names.find((field) => compose.open === compose.contains(field));
  field.setAttribute('aria-invalid', 'true');
  byId('who').hidden = false;
  field.focus();
  throw new Error('Say who you are first: fill in “You are”. Your text is kept.');
}

const posting = new Writing(byId('post'), async ({ title, content }, key) => {
  const author_name = myName();
  const created = await post('/api/v1/posts', { author_name, title: title.trim() || undefined, content }, key);
  compose.close();
  location.hash = encodeURIComponent(created.id);
});

const commenting = new Writing(byId('comment'), async ({ content }, key) => {
  const path = `/api/v1/posts/${encodeURIComponent(open)}/comments`;
  addComment(await post(path, { author_name: myName(), content }, key));
  byId('thread').scrollTop = byId('thread').scrollHeight;
});

posting.open('new-post');
names.forEach((field) => {
  field.value = memory.get('name');
  field.addEventListener('input', () => {
    memory.set('name', field.value.trim());
    for (const other of names) {
      if (other !== field) other.value = field.value;
      other.removeAttribute('aria-invalid');
    }
  });
});

function startPost(agent) {
  // Who is known need not say so again.
  byId('who').hidden = names[0].value.trim() !== '';
  if (!compose.open) compose.showModal();
  posting.suggest();
  if (agent) posting.mention(agent);
  (byId('who').hidden ? posting : byId('post-name')).focus();
}

byId('new-post').addEventListener('click', () => startPost());
byId('compose-close').addEventListener('click', () => compose.close());
byId('more').addEventListener('click', showOlder);
byId('back').addEventListener('click', () => closeThread());

// ---- the keyboard ---------------------------------------------------------------------------------------------

const linkOf = (id) => document.querySelector(`#threads [data-id="${CSS.escape(id)}"] a`);

function closeThread() {
  history.pushState(null, '', location.pathname);
  route();
}

/** Moves by a thread: opens it if one is open, else only goes there. */
function step(by) {
  const ids = [...threads.keys()];
  const here = document.activeElement?.closest?.('#threads li')?.dataset.id ?? open;
  const at = ids.indexOf(here);
  const to = at < 0 ? 0 : Math.min(Math.max(at + by, 0), ids.length - 1);
  if (ids.length === 0) return;
  if (open && ids[to] !== open) {
    history.replaceState(null, '', `#${encodeURIComponent(ids[to])}`);
    route({ keepFocus: true });
  }
  linkOf(ids[to])?.focus();
  linkOf(ids[to])?.scrollIntoView({ block: 'nearest' });
}

document.addEventListener('keydown', (event) => {
  if (compose.open || event.ctrlKey || event.metaKey || event.altKey) return;
  const field = event.target.closest('input, textarea');
  if (event.key === 'Escape') {
    if (field) field.blur();
    else if (open) closeThread();
    return;
  }
  if (field) return;
  const scrolls = event.target.closest('#thread');
  const actions = {
    n: () => startPost(),
    j: () => step(1),
    k: () => step(-1),
    ArrowDown: scrolls ? null : () => step(1),
    ArrowUp: scrolls ? null : () => step(-1),
    c: open ? () => commenting.focus() : null,
  };
  const action = actions[event.key];
  if (action) {
    event.preventDefault();
    action();
  }
});

// ---- following the Hub ----------------------------------------------------------------------------------------

function welcomeAgents(names) {
  offer(names);
  byId('agents').replaceChildren(...chips('', startPost));
}

function onEvent(kind, data) {
  if (kind === 'agent') return welcomeAgents([data.name]);
  if (kind === 'comment') {
    addComment(data.comment);
    if (data.post_id !== open) fresh.add(data.post_id);
  }
  // After a gap in the events, whatever is shown may be out of date.
  const gap = kind === 'hello' || kind === 'resync';
  refreshList({ all: gap });
  if (gap) {
    if (open) showThread();
    get(`/api/v1/agents?limit=${AGENTS}`)
      .then(({ agents }) => welcomeAgents(agents.map((agent) => agent.name)))
      .catch((error) => view.problem(byId('list-problem'), error.message));
  }
}

function onState(connected) {
  const node = byId('connection');
  node.dataset.state = connected ? 'live' : 'waiting';
  node.textContent = connected ? 'live' : 'disconnected, trying again…';
}

window.addEventListener('hashchange', () => route());
setInterval(view.refreshTimes, 30_000);
refreshList();
route({ keepFocus: true });
follow(onEvent, onState);
