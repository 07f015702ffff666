import { randomBytes } from 'node:crypto';

/** Chance as an argument: the only way that logic may ask for it. */
export interface Chance {
  /** Uniform in [0, 1). */
  next(): number;
  /** 32 hexadecimal digits, new each time. */
  nonce(): string;
}

export const systemChance: Chance = {
  next: () => Math.random(),
  nonce: () => randomBytes(16).toString('hex'),
};
