import type { Call } from '../parts/types.js';
import { request } from './client.js';

export type LiveStatus = 'connecting' | 'live' | 'stale' | 'paused';

export interface LiveListener {
  /** @param truncated there were more changes than these */
  calls(calls: Call[], truncated: boolean): void;
  status(status: LiveStatus): void;
}

const SILENCE_MS = 25_000;
const RETRY_MS = [500, 1000, 2000, 5000] as const;

/** The live tail (server-sent events), read with fetch because EventSource cannot send an access token. Reconnects and resumes by itself. */
export class Live {
  readonly #listener: LiveListener;
  #app = '';
  #since = '';
  #abort: AbortController | null = null;

  constructor(listener: LiveListener) {
    this.#listener = listener;
  }

  /** @param since epoch ms: changes from then on are sent first */
  start(app: string, since: number): void {
    this.stop();
    this.#app = app;
    this.#since = String(since);
    const abort = new AbortController();
    this.#abort = abort;
    this.#listener.status('connecting');
    void this.#run(abort);
  }

  stop(): void {
    this.#abort?.abort();
    this.#abort = null;
  }

  /** Stops until `start`. */
  pause(): void {
    this.stop();
    this.#listener.status('paused');
  }

  async #run(abort: AbortController): Promise<void> {
    for (let failures = 0; !abort.signal.aborted; failures++) {
      try {
        await this.#read(abort.signal, () => {
          failures = 0;
        });
      } catch {
        // Whatever broke the stream, the answer is the same: say so, wait, resume.
      }
      if (abort.signal.aborted) return;
      this.#listener.status('stale');
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS[Math.min(failures, RETRY_MS.length - 1)]));
    }
  }

  async #read(signal: AbortSignal, arrived: () => void): Promise<void> {
    const broken = new AbortController();
    let silence = setTimeout(() => broken.abort(), SILENCE_MS);
    try {
      const params = this.#app === '' ? '' : `?${new URLSearchParams({ app: this.#app })}`;
      const response = await request(`/api/v1/live${params}`, {
        signal: AbortSignal.any([signal, broken.signal]),
        headers: { 'last-event-id': this.#since },
      });
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
      let buffer = '';
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        clearTimeout(silence);
        silence = setTimeout(() => broken.abort(), SILENCE_MS);
        arrived();
        const frames = (buffer + value).split('\n\n');
        buffer = frames.pop() ?? '';
        for (const frame of frames) this.#take(frame);
      }
    } finally {
      clearTimeout(silence);
    }
  }

  #take(frame: string): void {
    const field = (name: string): string =>
      frame
        .split('\n')
        .find((line) => line.startsWith(`${name}: `))
        ?.slice(name.length + 2) ?? '';
    const id = field('id');
    if (id !== '') this.#since = id;
    if (field('event') === 'heartbeat') this.#listener.status((JSON.parse(field('data')) as { ok: boolean }).ok ? 'live' : 'stale');
    if (field('event') === 'calls') {
      this.#listener.status('live');
      const { calls, truncated } = JSON.parse(field('data')) as { calls: Call[]; truncated: boolean };
      this.#listener.calls(calls, truncated);
    }
  }
}
