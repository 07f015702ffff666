import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, Scalar } from 'yaml';
import { type ConfigProblem, formatPath, type Path } from './problem.js';

export type Plain = string | undefined | Plain[] | { [key: string]: Plain };

/** A configuration text as plain data, with what is needed to speak about it. */
export interface Source {
  /** Scalars are strings, whatever they look like: an app id or a password of digits stays what was written. Empty values are undefined. */
  data: { [key: string]: Plain };
  problems: ConfigProblem[];
  lineOf(path: Path): number | undefined;
  /** Paths whose value came from the environment and must not be shown. */
  substituted: ReadonlySet<string>;
}

const MAX_DEPTH = 32;
/** Aliases of aliases multiply: a few lines of them could be written out to more than any memory holds. */
const MAX_ALIASES = 1_000;

// In `{ key: ${NAME} }` YAML would read the braces as a mapping, so a variable travels through the parser between two private-use characters.
const [OPEN, CLOSE] = ['\uE000', '\uE001'];
const WRITTEN = /\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g;
const PARSED = new RegExp(`\\$\\$|\\$\\{|${OPEN}(.*?)${CLOSE}`, 'g');
const asWritten = (text: string): string => text.replaceAll(OPEN, '${').replaceAll(CLOSE, '}');

/** Reads YAML and replaces `${NAME}` in its values by the environment (`$$` is a dollar sign), after parsing: a value cannot add structure. */
export function readSource(text: string, env: NodeJS.ProcessEnv): Source {
  const counter = new LineCounter();
  const marked = text.replace(WRITTEN, (match, name: string | undefined) => (name === undefined ? match : `${OPEN}${name}${CLOSE}`));
  const doc = parseDocument(marked, { schema: 'failsafe', lineCounter: counter, prettyErrors: false });
  const reader = new Reader(doc, counter, env);
  for (const error of doc.errors) reader.problem([], `not valid YAML: ${asWritten(error.message)}`, error.pos[0]);
  const data = doc.errors.length > 0 ? {} : reader.read(doc.contents, [], 0);
  const whole = data === undefined ? {} : data;
  const isMapping = typeof whole === 'object' && !Array.isArray(whole);
  if (!isMapping) reader.problem([], 'the file must be a mapping (`apps: …`)');
  return {
    data: isMapping ? whole : {},
    problems: reader.problems,
    lineOf: (path) => reader.lineOf(path),
    substituted: reader.substituted,
  };
}

class Reader {
  readonly problems: ConfigProblem[] = [];
  readonly substituted = new Set<string>();
  readonly #lines = new Map<string, number>();
  #aliases = 0;

  constructor(
    private readonly doc: Document,
    private readonly counter: LineCounter,
    private readonly env: NodeJS.ProcessEnv,
  ) {}

  problem(path: Path, message: string, position?: number): void {
    const line = position === undefined ? this.lineOf(path) : this.counter.linePos(position).line;
    this.problems.push({ path: formatPath(path), message, ...(line ? { line } : {}) });
  }

  /** Line of the nearest thing that the file has. */
  lineOf(path: Path): number | undefined {
    for (let length = path.length; length > 0; length--) {
      const line = this.#lines.get(formatPath(path.slice(0, length)));
      if (line !== undefined) return line;
    }
    return undefined;
  }

  read(node: Node | null | undefined, path: Path, depth: number): Plain {
    if (node?.range && !this.#lines.has(formatPath(path))) this.#lines.set(formatPath(path), this.counter.linePos(node.range[0]).line);
    if (depth > MAX_DEPTH) {
      this.problem(path, 'nested too deeply');
      return undefined;
    }
    if (isAlias(node)) {
      if (++this.#aliases === MAX_ALIASES) this.problem(path, `more than ${MAX_ALIASES} aliases, written out`);
      return this.#aliases < MAX_ALIASES ? this.read(node.resolve(this.doc), path, depth + 1) : undefined;
    }
    if (isSeq(node)) return node.items.map((item, i) => this.read(item as Node, [...path, i], depth + 1));
    if (isMap(node)) {
      const out: { [key: string]: Plain } = {};
      for (const pair of node.items) {
        const key = isScalar(pair.key) ? asWritten(String(pair.key.value)) : undefined;
        if (key === undefined || key === '__proto__') {
          this.problem(path, 'keys must be plain words');
          continue;
        }
        const at = [...path, key];
        if (isScalar(pair.key) && pair.key.range) this.#lines.set(formatPath(at), this.counter.linePos(pair.key.range[0]).line);
        out[key] = this.read(pair.value as Node | null, at, depth + 1);
      }
      return out;
    }
    return isScalar(node) ? this.#scalar(node, path) : undefined;
  }

  #scalar(node: Scalar, path: Path): Plain {
    const text = String(node.value ?? '');
    const bare = node.type === Scalar.PLAIN || node.type === undefined;
    if (bare && (text === '' || text === '~' || text === 'null')) return undefined;
    return text.replace(PARSED, (match, name: string | undefined) => {
      if (match === '$$') return '$';
      if (name === undefined) {
        this.problem(path, '`${` without a variable name (write `$$` for a dollar sign)');
        return '';
      }
      this.substituted.add(formatPath(path));
      const value = this.env[name];
      if (value === undefined) {
        this.problem(path, `environment variable ${name} is not set`);
        return '';
      }
      return value;
    });
  }
}
