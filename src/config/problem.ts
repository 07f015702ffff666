import { CallstreamError } from '../domain/errors.js';

export type Path = readonly (string | number)[];

/** One thing that is wrong with the configuration. Never holds a secret. */
export interface ConfigProblem {
  /** As in `apps[0].records.endpoint`; '' for the whole file. */
  path: string;
  message: string;
  /** Line of the file, from 1. */
  line?: number;
}

/** `CONFIG_INVALID`: everything that is wrong, at once. `CONFIG_NOT_FOUND`: there is no such file. */
export class ConfigError extends CallstreamError {
  readonly problems: readonly ConfigProblem[];

  constructor(code: 'CONFIG_INVALID' | 'CONFIG_NOT_FOUND', where: string, problems: readonly ConfigProblem[]) {
    const lines = problems.map((p) => {
      const place = p.line === undefined ? p.path : `${p.path || '(file)'} (line ${p.line})`;
      return `  ${place}${place === '' ? '' : ': '}${p.message}`;
    });
    super(code, `${where} has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:\n${lines.join('\n')}`);
    this.problems = problems;
  }
}

/** ['apps', 0, 'appId'] -> `apps[0].appId` */
export const formatPath = (path: Path): string =>
  path.reduce<string>((text, part) => (typeof part === 'number' ? `${text}[${part}]` : text === '' ? part : `${text}.${part}`), '');

/** The word of `known` that was probably meant: at most two letters (or a third of the word) away. */
export function closest(word: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Levenshtein distance with one row. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
