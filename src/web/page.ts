import type { State } from './state.js';
import type { Call } from './types.js';

/** What a page gets from the frame around it. */
export interface Frame {
  readonly state: State;
  /** Changes the state, the address, and tells the page (`stateChanged`). */
  update(change: Partial<State>): void;
  /** An address of this site that keeps the reader's settings. */
  link(path: string, params?: Record<string, string>): string;
  /** Starts (or restarts) the live tail at this moment, unless paused. */
  listen(app: string, since: number): void;
}

/** One page of the dashboard; the frame calls it, it never calls another page. */
export interface Page {
  readonly title: string;
  readonly element: HTMLElement;
  /** Reads everything anew: at the beginning and when the reader goes on after a pause. */
  load(): void;
  /** Stand still until `load`. */
  pause(): void;
  stateChanged(before: State): void;
  themeChanged(): void;
  calls(calls: Call[]): void;
  destroy(): void;
}
