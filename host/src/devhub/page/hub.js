// The way to the Hub: requests, and the event stream that connects again by itself.

/** Milliseconds of silence after which a connection counts as dead; the Hub speaks every 15 s. */
const SILENCE = 40_000;
const RETRY_FIRST = 500;
const RETRY_MOST = 5_000;

let token = document.querySelector('meta[name="hub-token"]').content;

/** A request that failed; its message is for people. `status` is 0 if there was no answer. */
export class HubError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

export async function get(path) {
  return (await request(path, {})).json();
}

/** Writes. The same `key` again never writes twice, so a failed try can simply be repeated. */
export async function post(path, body, key) {
  const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': key };
  return (await request(path, { method: 'POST', headers, body: JSON.stringify(body) })).json();
}

async function request(path, options, again = true) {
  const headers = { ...options.headers };
  if (token) headers.Authorization = `Bearer ${token}`;
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    throw new HubError('The Hub can’t be reached. Nothing is lost: try again when it runs.', 0);
  }
  // A Hub that was restarted has a new token; its page tells which.
  if (response.status === 401 && again && (await renewToken())) return request(path, options, false);
  if (response.ok) return response;
  const answer = await response.json().catch(() => null);
  throw new HubError(answer?.error?.message ?? `The Hub answered with status ${response.status}.`, response.status);
}

async function renewToken() {
  const response = await fetch('/').catch(() => null);
  if (!response?.ok) return false;
  const page = new DOMParser().parseFromString(await response.text(), 'text/html');
  const fresh = page.querySelector('meta[name="hub-token"]')?.content ?? '';
  const changed = fresh !== token;
  token = fresh;
  return changed;
}

/**
 * Follows the Hub's events for as long as the page lives. `onEvent(name, data)` gets `hello` after each connecting:
 * what is shown should then be read again. `onState(connected)` tells when the connection comes and goes.
 */
export async function follow(onEvent, onState) {
  let wait = RETRY_FIRST;
  for (;;) {
    const abort = new AbortController();
    let alarm;
    const alive = () => {
      clearTimeout(alarm);
      alarm = setTimeout(() => abort.abort(), SILENCE);
    };
    try {
      alive();
      const response = await request('/api/v1/events', { signal: abort.signal });
      for await (const { name, data } of parse(response.body, alive)) {
        if (name === 'hello') {
          wait = RETRY_FIRST;
          onState(true);
        }
        onEvent(name, data);
      }
    } catch (error) {
      console.info('The event stream ended:', error.message);
    } finally {
      clearTimeout(alarm);
      abort.abort();
    }
    onState(false);
    await new Promise((resume) => setTimeout(resume, wait * (0.5 + Math.random())));
    wait = Math.min(wait * 2, RETRY_MOST);
  }
}

async function* parse(body, alive) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    alive();
    text += value;
    const messages = text.split('\n\n');
    text = messages.pop();
    for (const message of messages) {
      const field = (name) => {
        const line = message.split('\n').find((line) => line.startsWith(`${name}:`));
        return line?.slice(name.length + 1).trim();
      };
      // Lines that begin with a colon only say that the Hub is alive.
      if (field('data')) yield { name: field('event'), data: JSON.parse(field('data')) };
    }
  }
}
