import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';

/** One open segment. */
export interface SpoolFile {
  size(): Promise<number>;
  /** Up to `length` bytes; fewer only at the end of the file. */
  read(position: number, length: number): Promise<Buffer>;
  /** All of it, or an error. */
  write(bytes: Buffer, position: number): Promise<void>;
  /** Returns when the bytes are on the disk. */
  sync(): Promise<void>;
  truncate(size: number): Promise<void>;
  close(): Promise<void>;
}

/** The few things that the spool asks of a file system; tests put their own in its place. */
export interface SpoolFs {
  /** Creates the folder and makes that durable. */
  makeDir(dir: string): Promise<void>;
  list(dir: string): Promise<string[]>;
  /** `create` fails when the file exists. */
  open(path: string, mode: 'create' | 'existing'): Promise<SpoolFile>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Makes creations and renames in the folder durable. */
  syncDir(dir: string): Promise<void>;
}

class NodeSpoolFile implements SpoolFile {
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  async read(position: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(length);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await this.#handle.read(buffer, filled, length - filled, position + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return buffer.subarray(0, filled);
  }

  async write(bytes: Buffer, position: number): Promise<void> {
    let done = 0;
    while (done < bytes.length) {
      const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, position + done);
      done += bytesWritten;
    }
  }

  /** fdatasync: the length of the file is covered, its times are not needed. */
  sync(): Promise<void> {
    return this.#handle.datasync();
  }

  truncate(size: number): Promise<void> {
    return this.#handle.truncate(size);
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

async function syncDir(dir: string): Promise<void> {
  const handle = await open(dir, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export const nodeSpoolFs: SpoolFs = {
  async makeDir(dir) {
    const created = await mkdir(dir, { recursive: true, mode: 0o700 });
    if (created !== undefined) await syncDir(dirname(created));
  },
  list: (dir) => readdir(dir),
  open: async (path, mode) => new NodeSpoolFile(await open(path, mode === 'create' ? 'wx+' : 'r+', 0o600)),
  rename,
  remove: unlink,
  syncDir,
};
