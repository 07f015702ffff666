/** What each number of the API and the pages means: one text, shown wherever the number is. Formulas: contract.md §5, semantics.md "Call". */
export interface Definition {
  label: string;
  unit: 'count' | 'ratio' | 'ms';
  /** What `n` counts. */
  of: string;
  definition: string;
}

export const DEFINITIONS = {
  calls: {
    label: 'Calls',
    unit: 'count',
    of: 'calls that are over',
    definition: 'Calls that started in this period and are over. Calls still ringing or in progress are counted when they end.',
  },
  answered: { label: 'Answered', unit: 'count', of: 'calls', definition: 'Calls that somebody accepted.' },
  asr: {
    label: 'Answer rate (ASR)',
    unit: 'ratio',
    of: 'calls',
    definition: 'Answer-seizure ratio: answered calls divided by all calls.',
  },
  ner: {
    label: 'Network effectiveness (NER)',
    unit: 'ratio',
    of: 'calls',
    definition:
      'Calls that reached the other side, whatever its user did (answered, no answer, rejected, busy, cancelled), divided by all calls. What is missing to 100% is technical: failed or unknown.',
  },
  acd_ms: {
    label: 'Average talk time (ACD)',
    unit: 'ms',
    of: 'answered calls',
    definition: 'Average call duration: total talk time divided by the number of answered calls.',
  },
  ring_p50_ms: {
    label: 'Ring time, median',
    unit: 'ms',
    of: 'calls',
    definition:
      'From the start of a call until it was accepted, or until it was over when nobody accepted. Half of the calls rang no longer than this.',
  },
  ring_p95_ms: {
    label: 'Ring time, p95',
    unit: 'ms',
    of: 'calls',
    definition:
      'From the start of a call until it was accepted, or until it was over when nobody accepted. 95% of the calls rang no longer than this.',
  },
  talk_p50_ms: {
    label: 'Talk time, median',
    unit: 'ms',
    of: 'answered calls',
    definition: 'From the moment a call was accepted to its end. Half of the answered calls were no longer than this.',
  },
  talk_p95_ms: {
    label: 'Talk time, p95',
    unit: 'ms',
    of: 'answered calls',
    definition: 'From the moment a call was accepted to its end. 95% of the answered calls were no longer than this.',
  },
  missed: {
    label: 'Missed',
    unit: 'count',
    of: 'calls',
    definition: 'Calls that are over and that nobody picked up (outcome "no answer"). A group call that anyone answered is not missed.',
  },
  missed_inclusive: {
    label: 'Missed, inclusive',
    unit: 'count',
    of: 'calls',
    definition: 'Missed calls together with those that the caller gave up on (cancelled) and those that found the other side busy.',
  },
  ringing: {
    label: 'Ringing now',
    unit: 'count',
    of: 'calls that are not over',
    definition: 'Calls that started in this period and are still ringing.',
  },
  active: {
    label: 'In progress now',
    unit: 'count',
    of: 'calls that are not over',
    definition: 'Calls that started in this period, were answered and are not over.',
  },
} as const satisfies Record<string, Definition>;

export type MeasureName = keyof typeof DEFINITIONS;

/** A number, what it is taken over, and what it means. `value` is null when there is nothing to take it over. */
export interface Measure extends Definition {
  value: number | null;
  n: number;
}
