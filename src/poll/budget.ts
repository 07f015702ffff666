import type { Clock } from '../telemetry/clock.js';
import type { Pace } from './pace.js';

/** Who asks. */
export type Lane = 'sweep' | 'task';

interface Waiting {
  go(): void;
}

/** The requests of one operation of one app, at the vendor's pace. Sweeps and tasks take turns while both wait, so that neither starves the other. */
export class Budget {
  readonly #pace: Pace;
  readonly #clock: Clock;
  readonly #waiting: Record<Lane, Waiting[]> = { sweep: [], task: [] };
  #turn: Lane = 'sweep';
  #timer: NodeJS.Timeout | null = null;

  constructor(pace: Pace, clock: Clock) {
    this.#pace = pace;
    this.#clock = clock;
  }

  /**
   * Resolves when a request may go, with what must be called, once, when it was answered or given up.
   * @throws the signal's reason
   */
  async turn(lane: Lane, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const waiting: Waiting = {
        go: () => {
          signal.removeEventListener('abort', leave);
          resolve();
        },
      };
      const leave = (): void => {
        this.#waiting[lane].splice(this.#waiting[lane].indexOf(waiting), 1);
        reject(signal.reason as Error);
      };
      signal.addEventListener('abort', leave, { once: true });
      this.#waiting[lane].push(waiting);
      this.#pump();
    });
    return () => {
      this.#pace.answered(this.#clock.now());
      this.#pump();
    };
  }

  /** Nothing goes for so long. */
  pause(ms: number): void {
    this.#pace.pause(this.#clock.now() + ms);
  }

  #pump(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const { sweep, task } = this.#waiting;
    while (sweep.length + task.length > 0) {
      const now = this.#clock.now();
      const wait = this.#pace.wait(now);
      if (wait > 0) {
        if (wait !== Number.POSITIVE_INFINITY) this.#timer = setTimeout(() => this.#pump(), Math.ceil(wait));
        return;
      }
      const lane = this.#waiting[this.#turn].length > 0 ? this.#turn : other(this.#turn);
      this.#turn = other(lane);
      this.#pace.sent(now);
      this.#waiting[lane].shift()?.go();
    }
  }
}

const other = (lane: Lane): Lane => (lane === 'sweep' ? 'task' : 'sweep');
