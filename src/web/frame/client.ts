import { h } from '../parts/dom.js';

/** An answer that is not the data: `message` says what happened and what to do. */
export class Failure extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const TOKEN = 'callstream-token';

function headers(): Record<string, string> {
  const token = sessionStorage.getItem(TOKEN);
  return token === null ? {} : { authorization: `Bearer ${token}` };
}

let asking: Promise<void> | null = null;

/** One dialog, however many requests were refused; resolves when a token was given. */
function askForToken(): Promise<void> {
  asking ??= new Promise((resolve) => {
    const input = h('input', { type: 'password', id: 'token', autocomplete: 'current-password', required: true });
    const dialog = h(
      'dialog',
      { class: 'token', 'aria-labelledby': 'token-title', cancel: (event: Event) => event.preventDefault() },
      h('h2', { id: 'token-title' }, 'Access token'),
      h(
        'p',
        {},
        'This server shows calls only to those who have its access token. Ask whoever runs it. The token is kept until you close this tab.',
      ),
      h(
        'form',
        {
          submit: (event: Event) => {
            event.preventDefault();
            sessionStorage.setItem(TOKEN, input.value.trim());
            dialog.close();
            dialog.remove();
            asking = null;
            resolve();
          },
        },
        h('label', { for: 'token' }, 'Token'),
        input,
        h('button', { type: 'submit', class: 'primary' }, 'Continue'),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
  return asking;
}

interface Init {
  method?: 'GET' | 'POST';
  body?: string;
  signal?: AbortSignal;
  headers?: Record<string, string>;
}

/** Fetches with the access token, asking for one when the server wants it. @throws Failure */
export async function request(path: string, init: Init = {}): Promise<Response> {
  for (;;) {
    let response: Response;
    try {
      response = await fetch(path, { ...init, headers: { ...init.headers, ...headers() } });
    } catch (error) {
      if (init.signal?.aborted) throw error;
      throw new Failure(0, 'The server does not answer. Is callstream still running? This page keeps trying.');
    }
    if (response.status === 401) {
      await askForToken();
      continue;
    }
    if (response.ok) return response;
    let detail = `The server answered ${response.status}.`;
    try {
      detail = String(((await response.json()) as { detail?: unknown }).detail ?? detail);
    } catch {
      // Not a problem document: the status must do.
    }
    throw new Failure(response.status, detail);
  }
}

export async function get<T>(path: string, params: Record<string, string> = {}, signal?: AbortSignal): Promise<T> {
  const search = new URLSearchParams(Object.entries(params).filter(([, value]) => value !== '')).toString();
  const response = await request(search === '' ? path : `${path}?${search}`, signal === undefined ? {} : { signal });
  return (await response.json()) as T;
}

/** Changes something on the server. @throws Failure */
export async function post<T>(path: string, fields: Readonly<Record<string, string>>): Promise<T> {
  const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ''));
  const response = await request(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(given) });
  return (await response.json()) as T;
}
