/** What each number of the API and the pages means: one text, shown wherever the number is. Formulas: contract.md §5, semantics.md "Call". */
export interface Definition {
  label: string;
  unit: 'count' | 'ratio' | 'ms';
  /** What `n` counts. */
  of: string;
  definition: string;
}

/** The numbers of a summary. */
export const SUMMARY = {
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

export type MeasureName = keyof typeof SUMMARY;

/** The numbers of one user. */
export const OF_USER = {
  calls: { label: 'Calls', unit: 'count', of: 'calls', definition: 'Calls of this period with this user, also those that are not over.' },
  placed: { label: 'Made', unit: 'count', of: 'calls', definition: 'Calls of which this user is the caller.' },
  placed_answered: {
    label: 'Made and answered',
    unit: 'count',
    of: 'calls that the user made',
    definition: 'Calls of this user that somebody accepted.',
  },
  called: { label: 'Received', unit: 'count', of: 'calls', definition: 'Calls that others made and that this user was called in.' },
  called_answered: {
    label: 'Received and answered',
    unit: 'count',
    of: 'calls that the user received',
    definition: 'Calls of others that this user accepted or joined.',
  },
  missed: {
    label: 'Missed',
    unit: 'count',
    of: 'calls that the user received',
    definition: 'Calls of others that are over and that this user did not pick up. In a group call somebody else may have.',
  },
  missed_inclusive: {
    label: 'Missed, inclusive',
    unit: 'count',
    of: 'calls that the user received',
    definition: 'Missed calls together with those that the caller gave up on (cancelled) and those that found this user busy.',
  },
  talk_ms: {
    label: 'Talk time',
    unit: 'ms',
    of: 'calls that the user was in',
    definition: 'From joining a call to leaving it, over all calls of this period that are over.',
  },
} as const satisfies Record<string, Definition>;

/** Every number that the API answers with. */
export const DEFINITIONS = {
  ...SUMMARY,
  calls_found: {
    label: 'Calls found',
    unit: 'count',
    of: 'calls',
    definition: 'Calls that started in this period and match every filter, also those that are not over.',
  },
  peak_concurrency: {
    label: 'Peak concurrency',
    unit: 'count',
    of: 'answered calls of one app',
    definition:
      'The largest number of calls of an app that were in progress at one moment, from the accept of each to its end; an open call is in progress until now. Exact, not sampled.',
  },
  average_concurrency: {
    label: 'Average concurrency',
    unit: 'count',
    of: 'answered calls',
    definition: 'The number of calls in progress, averaged over every moment of the bucket that has passed.',
  },
  missed_unreturned: {
    label: 'Missed and not returned',
    unit: 'count',
    of: 'pairs of a caller and a callee',
    definition:
      'Pairs with calls that the callee did not answer, was busy for, or that the caller gave up after 5 seconds of ringing or more, and no answered call between the two since, in either direction. Only misses that began in this period count.',
  },
  missed_count: {
    label: 'Attempts',
    unit: 'count',
    of: 'calls of one caller to one callee',
    definition: 'How often the caller tried in this period since the two last spoke.',
  },
  unreturned_calls: {
    label: 'Missed calls of these',
    unit: 'count',
    of: 'calls',
    definition: 'All attempts of the pairs that have not spoken since: calls that were missed in this period and not returned.',
  },
  longest_wait: {
    label: 'Longest wait',
    unit: 'ms',
    of: 'pairs of a caller and a callee',
    definition: 'How long ago the first missed call of this period began that nobody has returned.',
  },
  received: {
    label: 'Received',
    unit: 'count',
    of: 'inputs',
    definition: 'Callbacks and polled items that arrived: each is new, a duplicate or a dead letter, and all three add up to this.',
  },
  folded: {
    label: 'New',
    unit: 'count',
    of: 'inputs',
    definition: 'Inputs that had not arrived before: what calls, recordings and channel sessions are made of.',
  },
  duplicates: {
    label: 'Duplicates',
    unit: 'count',
    of: 'inputs',
    definition: 'Inputs that had arrived before, in this period or earlier. They change nothing.',
  },
  dead: {
    label: 'Dead letters',
    unit: 'count',
    of: 'inputs',
    definition: 'Inputs that could not be processed. They are kept as they came and can be sent through again.',
  },
  delay_p50_ms: {
    label: 'Delay, median',
    unit: 'ms',
    of: 'callbacks that say when their event happened',
    definition: 'From the moment that the vendor says an event happened to its arrival here. Half of the callbacks took no longer.',
  },
  delay_p95_ms: {
    label: 'Delay, p95',
    unit: 'ms',
    of: 'callbacks that say when their event happened',
    definition: 'From the moment that the vendor says an event happened to its arrival here. 95% of the callbacks took no longer.',
  },
  calls_from_records_only: {
    label: 'Calls without callbacks',
    unit: 'count',
    of: 'calls',
    definition: 'Calls that started in this period and are known from polled records alone: not one of their callbacks has arrived.',
  },
  callback_coverage: {
    label: 'Callback coverage',
    unit: 'ratio',
    of: 'calls that are over, of apps whose call records are polled',
    definition:
      'Calls that started in this period of which at least one callback has arrived, divided by all of them. The vendor’s own records are what the callbacks are held against; without them nothing can be said.',
  },
  lag: {
    label: 'Behind',
    unit: 'count',
    of: 'records',
    definition: 'Records that have arrived in Kafka and are not worked off by this worker yet.',
  },
  spooled: {
    label: 'In the spool',
    unit: 'count',
    of: 'callbacks',
    definition:
      'Callbacks that were taken while Kafka was away and wait on the disk of the role ingest. They are safe, and not counted anywhere else yet.',
  },
  limit_used: {
    label: 'Limit used',
    unit: 'ratio',
    of: 'requests per second that are allowed',
    definition: 'Requests to the vendor’s API per second, since the reading before, divided by what is allowed.',
  },
  contact_calls: {
    label: 'Calls with',
    unit: 'count',
    of: 'calls',
    definition: 'Calls of this period in which both users are, as caller or callee, whatever became of them.',
  },
  contact_spoken: {
    label: 'Spoke',
    unit: 'count',
    of: 'calls with both users',
    definition: 'Calls that both users joined, whoever called.',
  },
  contact_talk_ms: {
    label: 'In calls together',
    unit: 'ms',
    of: 'calls that both users joined and that are over',
    definition: 'From the later join of the two to the earlier leave, over all these calls.',
  },
  undelivered: {
    label: 'Undelivered',
    unit: 'count',
    of: 'inputs',
    definition: 'Inputs known only from the vendor’s own log, which says that each push of them failed.',
  },
} as const satisfies Record<string, Definition>;

/** What each anomaly of a call means for its numbers. */
export const ANOMALIES: Readonly<Record<string, string>> = {
  end_before_accept: 'The end that was reported lies before the accept, so the call ends where it was accepted and its talk time is 0.',
  accept_before_start: 'The accept that was reported lies before the start, so the ring time is 0. Usually a client’s clock is wrong.',
  missing_start: 'No start of this call arrived: neither a start event nor a record. Its start is the earliest thing that is known.',
  missing_accept: 'The call was answered, but nothing tells when. Ring and talk time cannot be measured and are 0.',
  missing_end: 'The call was answered and is over, but nothing tells when it ended. Talk time cannot be measured.',
  time_conflict:
    'Two sources disagree about a time of this call by more than an hour, or a duration came out longer than a day and was set to 0.',
  record_conflict: 'The vendor’s record gives another outcome than the events of this call. The record wins.',
};

/** A number, what it is taken over, and what it means. `value` is null when there is nothing to take it over. */
export interface Measure extends Definition {
  value: number | null;
  n: number;
}
