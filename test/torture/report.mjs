const n = (value) => value.toLocaleString('en-US');
const cell = (text) => String(text).replaceAll('|', '\\|');
const row = (cells) => `| ${cells.map(cell).join(' | ')} |`;
const total = (faults) => (typeof faults === 'number' ? faults : Object.values(faults).reduce((sum, count) => sum + count, 0));

/** The figures of a run as one: the sums of what its scenarios counted. */
export function sums(figures) {
  const sum = (pick) => figures.reduce((all, figure) => all + pick(figure), 0);
  return {
    faults: sum((f) => total(f.faults)),
    events: sum((f) => f.events),
    lost: sum((f) => f.lost),
    doubled: sum((f) => f.doubled),
    differing: sum((f) => f.differing),
  };
}

/**
 * The report of a run in Markdown.
 * @param run what was run: { command, seed, commit, date, machine, minutes }
 * @param files [{ name, passed, failed, seconds }]
 * @param figures what `report()` of test/support/torture.ts wrote
 */
export function markdown(run, files, figures) {
  const all = sums(figures);
  const failed = files.reduce((sum, file) => sum + file.failed, 0);
  const kinds = figures.filter(({ faults }) => typeof faults !== 'number');
  return [
    `\`${run.command}\` on ${run.date}, seed ${run.seed}, commit ${run.commit}, ${n(Math.round(run.minutes))} minutes; ${run.machine}.`,
    '',
    `**${n(all.faults)} faults, ${n(all.events)} events: ${n(all.lost)} lost, ${n(all.doubled)} doubled, ${n(all.differing)} differing.** ` +
      `${n(files.reduce((sum, file) => sum + file.passed, 0))} tests passed, ${n(failed)} failed.`,
    '',
    row(['scenario', 'faults', 'events', 'lost', 'doubled', 'differing', 'beside']),
    '|---|---:|---:|---:|---:|---:|---|',
    ...figures.map((f) => row([f.scenario, n(total(f.faults)), n(f.events), n(f.lost), n(f.doubled), n(f.differing), f.note ?? ''])),
    ...kinds.flatMap((f) => [
      '',
      `${f.scenario}: ${Object.entries(f.faults)
        .map(([kind, count]) => `${kind} ${n(count)}`)
        .join(', ')}.`,
    ]),
    '',
    row(['tests', 'passed', 'failed', 'seconds']),
    '|---|---:|---:|---:|',
    ...files.map((f) => row([f.name, n(f.passed), n(f.failed), n(Math.round(f.seconds))])),
  ].join('\n');
}

const BEGIN = '<!-- npm run torture: begin -->';
const END = '<!-- npm run torture: end -->';

/** Puts the report in its place in a page; what stood there goes. */
export function inserted(page, report) {
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (from === -1 || to < from) throw new Error(`the page has no place for the report: ${BEGIN} … ${END}`);
  return `${page.slice(0, from + BEGIN.length)}\n${report}\n${page.slice(to)}`;
}
