import type { Readiness } from '../../telemetry/admin-server.js';
import { type ChildOptions, type ChildSpec, SupervisedChild } from './child.js';

/** Keeps a set of processes alive, and stops them in order. */
export class Supervisor {
  readonly #groups: SupervisedChild[][];

  /** @param groups in the order in which they are stopped; those of one group are stopped together */
  constructor(groups: readonly (readonly ChildSpec[])[], options: ChildOptions) {
    this.#groups = groups.map((group) => group.map((spec) => new SupervisedChild(spec, options)));
  }

  get children(): readonly SupervisedChild[] {
    return this.#groups.flat();
  }

  /** The last to be stopped starts first. */
  start(): void {
    for (const group of this.#groups.toReversed()) for (const child of group) child.start();
  }

  get readiness(): Readiness {
    const all = this.children.map((child) => child.readiness);
    return { ok: all.every((r) => r.ok), problems: all.flatMap((r) => r.problems) };
  }

  /** Each group gets at most `graceMs` before it is killed. */
  async stop(graceMs: number): Promise<void> {
    for (const group of this.#groups) await Promise.all(group.map((child) => child.stop(graceMs)));
  }

  kill(): void {
    for (const child of this.children) child.kill();
  }
}
