interface Family {
  head: string[];
  samples: string[];
}

/**
 * Joins the Prometheus texts of several processes into one, every sample with a label more.
 * The lines of one metric stay together, as the exposition format wants it.
 */
export function joinMetrics(texts: ReadonlyMap<string, string>, label: string): string {
  const families = new Map<string, Family>();
  for (const [value, text] of texts) {
    let family: Family | undefined;
    for (const line of text.split('\n')) {
      if (line === '') continue;
      const [, kind, name] = /^# (HELP|TYPE) (\S+)/.exec(line) ?? [];
      if (name !== undefined) {
        family = families.get(name) ?? { head: [], samples: [] };
        families.set(name, family);
        if (!family.head.some((known) => known.startsWith(`# ${kind} `))) family.head.push(line);
      } else if (!line.startsWith('#')) {
        family?.samples.push(withLabel(line, label, value));
      }
    }
  }
  return [...families.values()].map((f) => `${[...f.head, ...f.samples].join('\n')}\n`).join('');
}

function withLabel(sample: string, label: string, value: string): string {
  const [, name, labels, rest] = /^([A-Za-z_:][A-Za-z0-9_:]*)(?:\{(.*)\})?( .*)$/.exec(sample) ?? [];
  if (name === undefined) return sample;
  const escaped = value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n');
  return `${name}{${label}="${escaped}"${labels ? `,${labels}` : ''}}${rest}`;
}
