import type { Call } from '../parts/types.js';
import type { State } from './state.js';

/** What a page gets from the frame around it. */
export interface Frame {
  readonly state: State;
  /** Changes the reader's settings, the address, and tells the page (`stateChanged`). */
  update(change: Partial<Omit<State, 'own'>>): void;
  /** The same for what only this page understands: these values, the others stay; '' removes one. */
  updateOwn(change: Readonly<Record<string, string>>): void;
  /** An address of this site that keeps the reader's settings but for those of `change`. */
  link(path: string, own?: Readonly<Record<string, string>>, change?: Partial<Omit<State, 'own'>>): string;
  /** Starts (or restarts) the live tail at this moment, unless paused. Every page does, once it has its data. */
  listen(app: string, since: number): void;
}

/** One page of the dashboard; the frame calls it, it never calls another page. */
export interface Page {
  /** Of the document. */
  readonly title: string;
  readonly element: HTMLElement;
  /** Reads everything anew: at the beginning and when the reader goes on after a pause. */
  load(): void;
  /** Stand still until `load`. */
  pause(): void;
  stateChanged(before: State): void;
  /** Only what the style sheets cannot do. */
  themeChanged?(): void;
  /** Calls that have changed. @param truncated others have too, which nobody will tell of: lists are to be read anew */
  calls?(calls: Call[], truncated: boolean): void;
  destroy(): void;
}

/** A page and its address. */
export interface Place {
  readonly path: string;
  /** In the navigation; '' is not there. */
  readonly name: string;
  /** Names of its own parameters, in the order of the address. */
  readonly own: readonly string[];
  open(frame: Frame): Page;
}
