import { join } from 'node:path';
import { CallstreamError } from '../domain/errors.js';
import type { Clock } from '../telemetry/clock.js';
import type { Fault } from './fault.js';
import { encodeEntries, type SpoolEntry } from './spool-format.js';
import { nodeSpoolFs, type SpoolFs } from './spool-fs.js';
import { lockFolder } from './spool-lock.js';
import { Segment, type SegmentRead, sequenceOf } from './spool-segment.js';

export interface SpoolOptions {
  /** Used by one process at a time. */
  dir: string;
  /** Beyond this many bytes on the disk nothing more is taken. */
  maxBytes: number;
  /** Nothing more is taken while the oldest record is older than this. */
  maxAgeMs: number;
  /** A segment that has grown beyond this is followed by a new one. What a crash repeats is at most one segment. */
  segmentBytes: number;
}

export interface SpoolDeps {
  clock: Clock;
  fs?: SpoolFs;
  fault?: Fault;
  /** Told of each append that the disk has refused. */
  onRefusal?: () => void;
  /** Told of bad records (found at opening or reading) and torn tails, with the segment they are in. */
  onDamage?: (damage: { segment: string; bad: number; cut: number }) => void;
}

/** The next records in order. They stay in the spool until the batch is released. */
export interface SpoolBatch {
  readonly payloads: Buffer[];
  readonly segment: Segment;
  readonly end: number;
}

const PROBE = 'probe';
/** As much as a small batch. */
const PROBE_BYTES = 65_536;

/**
 * A first-in-first-out of records on the local disk, for the time when Kafka is away. What {@link append} has
 * acknowledged survives any crash; what a crash repeats is the first segment from its start. Order of use: one append
 * at a time, and one reader (peek, release, peek, …) beside it.
 */
export class Spool {
  readonly #options: SpoolOptions;
  readonly #deps: SpoolDeps;
  readonly #fs: SpoolFs;
  readonly #quarantine: string;
  readonly #unlock: () => void;
  readonly #segments: Segment[] = [];
  /** The segment that takes appends; always the last. */
  #active: Segment | null = null;
  #sequence = 0;
  #appending = false;
  #closed = false;
  #refusal: unknown = null;
  #probing: Promise<void> | null = null;

  private constructor(options: SpoolOptions, deps: SpoolDeps, unlock: () => void) {
    this.#options = options;
    this.#deps = deps;
    this.#fs = deps.fs ?? nodeSpoolFs;
    this.#quarantine = join(options.dir, 'quarantine');
    this.#unlock = unlock;
  }

  /**
   * Locks the folder and checks everything that an earlier process left in it.
   * @throws CallstreamError SPOOL_LOCKED
   */
  static async open(options: SpoolOptions, deps: SpoolDeps): Promise<Spool> {
    const fs = deps.fs ?? nodeSpoolFs;
    await fs.makeDir(options.dir);
    await fs.makeDir(join(options.dir, 'quarantine'));
    const unlock = lockFolder(options.dir);
    const spool = new Spool(options, deps, unlock);
    try {
      await spool.#recover();
    } catch (error) {
      unlock();
      throw error;
    }
    return spool;
  }

  /** Records that wait. */
  get events(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.events, 0);
  }

  /** Bytes on the disk. */
  get bytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.size, 0);
  }

  /** Time of the oldest record, epoch ms; null when there is none. */
  get oldestAt(): number | null {
    return this.#segments.find((segment) => segment.events > 0)?.oldestAt ?? null;
  }

  /** Nothing waits, and nothing is being written. */
  get isEmpty(): boolean {
    return !this.#appending && this.#segments.length === 0;
  }

  /** Why nothing can be taken now; null when it can. */
  get fullBecause(): string | null {
    const { maxBytes, maxAgeMs } = this.#options;
    if (this.bytes >= maxBytes) return `it holds ${this.bytes} of ${maxBytes} bytes`;
    const oldest = this.oldestAt;
    if (oldest !== null && this.#deps.clock.now() - oldest > maxAgeMs)
      return `its oldest event waits since ${new Date(oldest).toISOString()}`;
    return null;
  }

  /** Why the disk has refused the last append or {@link probe}; null: it has not. */
  get refusal(): unknown {
    return this.#refusal;
  }

  /** After a refusal: whether the disk takes something again, with a file that is removed at once. Resolves in any case. */
  probe(): Promise<void> {
    this.#probing ??= this.#probe().finally(() => {
      this.#probing = null;
    });
    return this.#probing;
  }

  async #probe(): Promise<void> {
    const path = join(this.#options.dir, PROBE);
    try {
      await this.#fs.remove(path).catch(() => undefined);
      const file = await this.#fs.open(path, 'create');
      try {
        await file.write(Buffer.alloc(PROBE_BYTES), 0);
        await file.sync();
      } finally {
        await file.close();
        await this.#fs.remove(path);
      }
      this.#refusal = null;
    } catch (error) {
      this.#refusal = error;
    }
  }

  /**
   * Writes the records behind all others. They are on the disk when it resolves.
   * @throws CallstreamError SPOOL_FULL, SPOOL_FAILED (the disk; the next append tries again in a new segment)
   */
  async append(entries: readonly SpoolEntry[]): Promise<void> {
    if (this.#closed) throw new CallstreamError('SPOOL_CLOSED', 'the spool is closed');
    if (this.#appending) throw new Error('one append at a time');
    const bytes = encodeEntries(entries);
    const full = this.fullBecause ?? (this.bytes + bytes.length > this.#options.maxBytes ? 'the batch does not fit' : null);
    if (full !== null) throw new CallstreamError('SPOOL_FULL', `the spool takes nothing more: ${full}`);
    this.#appending = true;
    try {
      const segment = this.#active ?? (await this.#newSegment());
      await this.#deps.fault?.('spool:before-write');
      await segment.append(entries, bytes, async () => this.#deps.fault?.('spool:before-fsync'));
      await this.#deps.fault?.('spool:after-fsync');
      if (segment.size >= this.#options.segmentBytes) this.#active = null;
      this.#refusal = null;
    } catch (cause) {
      this.#refusal = cause;
      this.#deps.onRefusal?.();
      await this.#retire();
      throw new CallstreamError('SPOOL_FAILED', `the spool could not write to ${this.#options.dir}`, { cause });
    } finally {
      this.#appending = false;
    }
  }

  /** The next records, or null when there is none. Until {@link release}, the same again. */
  async peek(maxRecords: number, maxBytes: number): Promise<SpoolBatch | null> {
    for (let segment = this.#segments[0]; segment !== undefined; segment = this.#segments[0]) {
      const read = await this.#read(segment, maxRecords, maxBytes);
      if (read === null) continue;
      if (read.bad > 0) {
        segment.events -= read.bad;
        this.#deps.onDamage?.({ segment: segment.name, bad: read.bad, cut: 0 });
      }
      if (read.entries.length > 0) return { payloads: read.entries.map((entry) => entry.payload), segment, end: read.end };
      segment.position = read.end;
      if (!(await this.#finish(segment))) return null;
    }
    return null;
  }

  /**
   * The batch is safe elsewhere. Deletes its segment when that was all of it.
   * @param unreadable how many of the payloads made no sense to the reader: their segment is set aside
   */
  async release(batch: SpoolBatch, unreadable = 0): Promise<void> {
    if (this.#closed) throw new CallstreamError('SPOOL_CLOSED', 'the spool is closed');
    const { segment } = batch;
    segment.position = batch.end;
    segment.events -= batch.payloads.length;
    if (unreadable > 0) {
      segment.damaged = true;
      this.#deps.onDamage?.({ segment: segment.name, bad: unreadable, cut: 0 });
    }
    await this.#finish(segment);
  }

  /** Everything that waits stays on the disk for the next opening. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#active = null;
    await this.#probing;
    await Promise.all(this.#segments.map((segment) => segment.close()));
    this.#unlock();
  }

  async #recover(): Promise<void> {
    const names = await this.#fs.list(this.#options.dir);
    const sequences = names.map(sequenceOf).filter((sequence) => sequence !== null);
    for (const sequence of sequences.sort((a, b) => a - b)) {
      const segment = new Segment(this.#fs, this.#options.dir, sequence);
      const found = await segment.recover();
      if (found.bad > 0 || found.cut > 0) this.#deps.onDamage?.({ segment: segment.name, ...found });
      await segment.close();
      this.#sequence = sequence;
      if (segment.events === 0) await segment.discard(this.#quarantine);
      else this.#segments.push(segment);
    }
  }

  /** null: the file is gone, and the segment with it. */
  async #read(segment: Segment, maxRecords: number, maxBytes: number): Promise<SegmentRead | null> {
    if (this.#closed) throw new CallstreamError('SPOOL_CLOSED', 'the spool is closed');
    try {
      return await segment.read(maxRecords, maxBytes);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      this.#deps.onDamage?.({ segment: segment.name, bad: segment.events, cut: 0 });
      this.#segments.splice(this.#segments.indexOf(segment), 1);
      return null;
    }
  }

  async #newSegment(): Promise<Segment> {
    // By the clock, so that no name is used twice, not even of segments that are long gone or set aside.
    this.#sequence = Math.max(this.#sequence + 1, this.#deps.clock.now());
    const segment = new Segment(this.#fs, this.#options.dir, this.#sequence);
    await this.#deps.fault?.('spool:before-create');
    await segment.create();
    this.#segments.push(segment);
    this.#active = segment;
    await this.#fs.syncDir(this.#options.dir);
    await this.#deps.fault?.('spool:after-create');
    return segment;
  }

  /** Nothing more goes into the active segment: after a failed write or fsync the kernel may have dropped pages without telling again. */
  async #retire(): Promise<void> {
    const segment = this.#active;
    this.#active = null;
    if (segment === null) return;
    await segment.cutToSize();
    if (segment.position === segment.size) await this.#discard(segment);
  }

  /** Deletes a segment that has been read to its end, unless it is being written to. */
  async #finish(segment: Segment): Promise<boolean> {
    if (segment.position < segment.size) return true;
    if (segment === this.#active) {
      if (this.#appending) return false;
      this.#active = null;
    }
    await this.#deps.fault?.('spool:before-delete');
    await this.#discard(segment);
    await this.#deps.fault?.('spool:after-delete');
    return true;
  }

  /** A file that cannot be deleted is at worst sent again after a restart: repeats have equal ids. */
  async #discard(segment: Segment): Promise<void> {
    const index = this.#segments.indexOf(segment);
    if (index >= 0) this.#segments.splice(index, 1);
    await segment.discard(this.#quarantine).catch(() => undefined);
  }
}
