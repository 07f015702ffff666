/** One line of a Prometheus text. */
export interface Sample {
  name: string;
  labels: Readonly<Record<string, string>>;
  value: number;
}

const LINE = /^([A-Za-z_:][A-Za-z0-9_:]*)(?:\{(.*)\})? ([^ ]+)(?: -?\d+)?$/;
const LABEL = /([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"/g;
const ESCAPES: Readonly<Record<string, string>> = { '\\\\': '\\', '\\"': '"', '\\n': '\n' };

/** The samples of a text in the Prometheus exposition format whose names begin so. Lines that are none, and values that are no finite number, are left out. */
export function samplesOf(text: string, prefix: string): Sample[] {
  return text.split('\n').flatMap((line): Sample[] => {
    if (!line.startsWith(prefix)) return [];
    const [, name, labels = '', value] = LINE.exec(line) ?? [];
    if (name === undefined || !Number.isFinite(Number(value))) return [];
    const pairs = [...labels.matchAll(LABEL)].map(([, key, written]) => [
      key!,
      written!.replace(/\\[\\"n]/g, (sequence) => ESCAPES[sequence]!),
    ]);
    return [{ name, labels: Object.fromEntries(pairs), value: Number(value) }];
  });
}
