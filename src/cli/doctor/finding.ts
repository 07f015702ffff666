import { reasonOf } from '../explain-error.js';

/** What a check has found. */
export interface Finding {
  level: 'ok' | 'warning' | 'problem';
  /** What was looked at, in a word or two. */
  what: string;
  /** How it is. */
  is: string;
  /** What to do about it. */
  todo?: string;
}

export type Check = () => Promise<Finding[]>;

export const ok = (what: string, is: string): Finding => ({ level: 'ok', what, is });
export const warning = (what: string, is: string, todo: string): Finding => ({ level: 'warning', what, is, todo });
export const problem = (what: string, is: string, todo: string): Finding => ({ level: 'problem', what, is, todo });

/** A check that fails altogether is a finding too: nothing keeps the others from being made. */
export async function attempt(what: string, todo: string, check: Check): Promise<Finding[]> {
  try {
    return await check();
  } catch (error) {
    return [problem(what, reasonOf(error), todo)];
  }
}

const SIGNS = { ok: '✓', warning: '!', problem: '✗' } as const;

export function formatFinding({ level, what, is, todo }: Finding): string {
  return `${SIGNS[level]} ${what.padEnd(20)} ${is}${todo === undefined ? '' : `\n  ${''.padEnd(20)} → ${todo}`}`;
}
