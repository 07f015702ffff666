import type { PollTask } from '../codec/generated.js';
import { oldestAt, type Tasking } from '../sources/polled.js';
import { about } from '../stream/jittered-backoff.js';
import { Signal } from '../stream/wait.js';
import type { Chance } from '../telemetry/chance.js';
import { type Clock, passingTime } from '../telemetry/clock.js';
import type { Logger } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import { Complaints } from './complaints.js';
import type { Line } from './line.js';
import type { PollOutlet } from './outlet.js';
import { TaskCopies } from './task-copies.js';
import { type QueuedTask, TaskQueue } from './task-queue.js';
import type { Timing } from './timing.js';
import { type WalkEnd, walk } from './walk.js';

/** What became of a task: a label of callstream_poll_tasks_total. All but the first are the end of it. */
export type TaskResult =
  /** Everything that the vendor has is on the raw topic. */
  | 'done'
  /** Published anew, for later. */
  | 'put_off'
  /** The vendor never had it. */
  | 'given_up'
  /** The vendor does not take the question, or there is nothing that could be asked. */
  | 'refused'
  /** Older than the vendor's look-back. */
  | 'too_old'
  /** A later copy of it waits, too. */
  | 'superseded'
  /** Left out for the sake of newer ones. */
  | 'dropped'
  /** Of an app or a kind that the configuration does not serve. */
  | 'unserved'
  /** Cannot be decoded. */
  | 'unreadable';

export interface TaskRunnerDeps {
  line: Line;
  tasking: Tasking<unknown>;
  outlet: PollOutlet;
  /** Publishes a task anew, durable when it resolves. */
  putOff(entry: QueuedTask, task: PollTask): Promise<void>;
  /** The task is done with. */
  settled(entry: QueuedTask, result: TaskResult): void;
  timing: Timing;
  clock: Clock;
  chance: Chance;
  logger: Logger;
  metrics: Metrics;
}

/** Tasks under way at once: enough for the vendors' rates at their usual pace. */
const AT_ONCE = 16;
/** What is worth waiting for: tasks that were due so long ago are dropped first when there is more than the vendor answers in `REACH_MS`. */
const STALE_MS = 3_600_000;
const REACH_MS = 600_000;
const LOOK_EVERY_MS = 1_000;

/** The tasks of one source of one app, each when it is due. */
export class TaskRunner {
  readonly queue = new TaskQueue();
  readonly #deps: TaskRunnerDeps;
  readonly #log: Logger;
  readonly #copies = new TaskCopies();
  readonly #signal = new Signal();
  readonly #complaints = new Complaints();
  #running = 0;

  constructor(deps: TaskRunnerDeps) {
    this.#deps = deps;
    this.#log = deps.logger.child({ source: deps.line.source.name, app: deps.line.app.appId });
  }

  push(entry: QueuedTask): void {
    this.queue.push(entry);
    for (const spare of this.#copies.add(entry)) {
      this.queue.remove(spare);
      this.#end(spare, 'superseded');
    }
    this.#signal.notify();
  }

  /**
   * Works until the signal.
   * @throws the signal's reason, and what is no failure of the vendor
   */
  async run(signal: AbortSignal): Promise<void> {
    let fail: (error: unknown) => void = () => {};
    const failed = new Promise<never>((_, reject) => {
      fail = reject;
    });
    const begin = (entry: QueuedTask): void => {
      this.#running += 1;
      this.#work(entry, signal)
        .finally(() => {
          this.#running -= 1;
          this.#signal.notify();
        })
        .catch(fail);
    };
    const wake = (): void => this.#signal.notify();
    signal.addEventListener('abort', wake, { once: true });
    await Promise.race([this.#pick(begin, signal), failed]);
  }

  async #pick(begin: (entry: QueuedTask) => void, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    while (!signal.aborted) {
      const now = clock.now();
      const entry = this.#running < AT_ONCE ? this.queue.pop(now) : null;
      if (entry !== null) this.#copies.delete(entry);
      if (entry === null) {
        const due = this.#running < AT_ONCE ? this.queue.nextDue : null;
        await this.#signal.wait(Math.max(1, Math.min(LOOK_EVERY_MS, (due ?? Number.POSITIVE_INFINITY) - now)));
      } else if (now - entry.dueAt > STALE_MS && this.#isTooMuch()) {
        this.#end(entry, 'dropped', 'more tasks wait than the vendor answers: the oldest are dropped');
      } else begin(entry);
    }
  }

  /** The heap gives the one that waits for longest first, so what is dropped is the oldest. */
  #isTooMuch(): boolean {
    return this.queue.questions > (this.#deps.line.rate * REACH_MS) / 1_000;
  }

  async #work(entry: QueuedTask, signal: AbortSignal): Promise<void> {
    const { line, tasking, outlet, clock, timing, chance } = this.#deps;
    const { task } = entry;
    const now = clock.now();
    const happenedAt = task.ended_at ?? task.started_at;
    if (happenedAt !== null && happenedAt < oldestAt(now, line.source.limits)) {
      const days = line.source.limits.lookBackMs / 86_400_000;
      this.#end(entry, 'too_old', `a call of ${new Date(happenedAt).toISOString()} is not asked for: the vendor answers ${days} days back`);
      return;
    }
    const plan = tasking.first(line.app, task, now);
    if (plan === null) {
      this.#end(entry, 'refused', 'a task names nothing that could be asked for');
      return;
    }
    const end = await walk(plan, {
      line,
      lane: 'task',
      publish: (elements) => outlet.publish(line.source, line.app.appId, elements, signal),
      hostRetries: Number.POSITIVE_INFINITY,
      timing,
      chance,
      signal,
    });
    await this.#conclude(entry, end);
  }

  async #conclude(entry: QueuedTask, end: WalkEnd): Promise<void> {
    const { timing } = this.#deps;
    if (end.kind === 'done') this.#end(entry, 'done');
    else if (end.kind === 'not_yet') await this.#putOff(entry, end.message);
    else if (end.kind === 'refused') this.#end(entry, 'refused', end.message);
    // Its turn comes again when the line does: until then it waits there.
    else if (end.kind === 'stop') this.#again(entry, 0);
    else if (entry.rounds + 1 >= timing.rounds) this.#end(entry, 'given_up', end.message);
    else {
      entry.rounds += 1;
      this.#again(entry, Math.min(timing.roundFirst * 2 ** (entry.rounds - 1), timing.roundMax));
    }
  }

  async #putOff(entry: QueuedTask, message: string): Promise<void> {
    const { timing, clock, chance, putOff } = this.#deps;
    const wait = timing.notYet[entry.task.attempt];
    if (wait === undefined) {
      this.#end(entry, 'given_up', message);
      return;
    }
    const due_at = Math.round(clock.now() + about(wait, chance));
    await putOff(entry, { ...entry.task, attempt: entry.task.attempt + 1, due_at });
    this.#end(entry, 'put_off');
  }

  #again(entry: QueuedTask, waitMs: number): void {
    const { clock, chance } = this.#deps;
    entry.dueAt = clock.now() + about(waitMs, chance);
    this.push(entry);
  }

  #end(entry: QueuedTask, result: TaskResult, why?: string): void {
    const { settled } = this.#deps;
    if (why !== undefined && this.#complaints.isDue(result, passingTime.now()))
      this.#log.warn({ task: entry.task.kind, attempt: entry.task.attempt, result }, `${why} (said once in a while; the metrics count)`);
    settled(entry, result);
  }
}
