/** docs/DESIGN.md §5: cursors after acknowledgements, offsets of tasks after what they led to. */
const SWEEPER = 'src/poll/sweeper.ts';
const CURSORS = 'src/poll/cursors.ts';
const OUTLET = 'src/poll/outlet.ts';
const engine = (name) => ({ file: 'test/unit/poll-engine.test.ts', name });
const parts = (name) => ({ file: 'test/unit/poll-parts.test.ts', name });
const topic = (name) => ({ file: 'test/unit/poll-task-topic.test.ts', name });
const order = (name) => ({ file: 'test/unit/poll-order.test.ts', name });

export const POLL = [
  {
    name: 'a page is left before Kafka has acknowledged it',
    guarantee: 'cursors move after the acknowledgement',
    file: 'src/poll/walk.ts',
    find: 'await publish(answer.elements);',
    replace: 'void publish(answer.elements);',
    test: order('writes the cursor of a sweep only when Kafka has all that it found'),
  },
  {
    name: 'an outlet does not wait for Kafka',
    guarantee: 'cursors move after the acknowledgement',
    file: OUTLET,
    find: '    await Promise.all(flights);\n',
    replace: '',
    test: order('writes the cursor of a sweep only when Kafka has all that it found'),
  },
  {
    name: 'what another sweep has under way is not waited for',
    guarantee: 'cursors move after the acknowledgement',
    file: OUTLET,
    find: 'if (flight !== undefined) flights.add(flight);',
    replace: '',
    test: order('waits for what another sweep has on its way'),
  },
  {
    name: 'an element counts as known before Kafka has it',
    guarantee: 'cursors move after the acknowledgement',
    edits: [
      { file: OUTLET, find: '        for (const id of records.keys()) acknowledged.add(id);\n', replace: '' },
      {
        file: OUTLET,
        find: '    const flight = (async () => {\n',
        replace: '    for (const id of records.keys()) acknowledged.add(id);\n    const flight = (async () => {\n',
      },
    ],
    test: order('finds again what it could not send'),
  },
  {
    name: 'a sweep that failed moves its cursor',
    guarantee: 'cursors move after the acknowledgement',
    file: SWEEPER,
    find: '        return false;\n      }',
    replace: '      }',
    test: engine('write no cursor for what has failed, and heal by themselves'),
  },
  {
    name: 'a cursor may go back',
    guarantee: 'cursors are monotone',
    file: CURSORS,
    find: 'if (known !== undefined && sweptTo < known.swept_to && !isAhead(known.swept_to, clock.now())) return;',
    replace: '',
    test: order('never moves a cursor back'),
  },
  {
    name: 'a poller that was replaced writes cursors',
    guarantee: 'one process polls',
    file: CURSORS,
    find: '    await unlessAborted(confirmed(), signal);\n',
    replace: '',
    test: order('writes no cursor before the group has counted it in once more'),
  },
  {
    name: 'of two cursors the last one written counts',
    guarantee: 'cursors are monotone',
    file: CURSORS,
    find: 'if (known === undefined || rank(cursor) >= rank(known)) cursors.#keep(cursor);',
    replace: 'cursors.#keep(cursor);\n      void known;',
    test: order('begins at the furthest cursor, whoever wrote last'),
  },
  {
    name: 'a task is done with before its successor is published',
    guarantee: 'offsets of tasks move after what they led to',
    file: 'src/poll/task-runner.ts',
    find: 'await putOff(entry, {',
    replace: 'void putOff(entry, {',
    test: order('is done with a task that is put off only when its successor is published'),
  },
  {
    name: 'a task is done with before its answer is on the raw topic',
    guarantee: 'offsets of tasks move after what they led to',
    file: 'src/poll/task-runner.ts',
    find: 'const end = await walk(plan, {',
    replace: "this.#deps.settled(entry, 'done');\n    const end = await walk(plan, {",
    test: order('is done with a task only when Kafka has what it asked for'),
  },
  {
    name: 'a copy of a task stands for nothing',
    guarantee: 'a takeover does not double what waits',
    file: 'src/poll/task-copies.ts',
    find: 'copy.task.attempt > 0 &&',
    replace: 'copy.task.attempt < 0 &&',
    test: engine('are asked once where a takeover has read a task and all that it was put off to'),
  },
  {
    name: 'a task that is under way counts among those that wait',
    guarantee: 'a task is done with once',
    file: 'src/poll/task-runner.ts',
    find: 'if (entry !== null) this.#copies.delete(entry);',
    replace: '',
    test: engine('that are under way, or done, are no copies of what comes then'),
  },
  {
    name: 'whoever asks for the first time once more is taken for a copy',
    guarantee: 'what is asked for anew is asked at once',
    file: 'src/poll/task-copies.ts',
    find: 'copy.task.attempt > 0 &&',
    replace: 'copy.task.attempt >= 0 &&',
    test: parts('are not what asks for the first time, of somebody else, for another reason, or fewer times'),
  },
  {
    name: 'offsets of tasks are committed beyond one that is not done',
    guarantee: 'offsets of tasks move after what they led to',
    file: 'src/poll/task-ledger.ts',
    find: 'const offset = open[0] ?? next;',
    replace: 'const offset = next;\n      void open;',
    test: topic('commits no further than the lowest task that is not done'),
  },
  {
    name: 'a poller that stands by commits offsets of tasks',
    guarantee: 'one process polls',
    edits: [
      { file: 'src/poll/task-topic.ts', find: 'if (!active) this.#ledger.clear();', replace: '' },
      {
        file: 'src/poll/task-topic.ts',
        find: 'offsets = this.#active ? this.#ledger.committable() : [];',
        replace: 'offsets = this.#ledger.committable();',
      },
    ],
    test: topic('commits nothing while it stands by'),
  },
  {
    name: 'two members may get tasks at once',
    guarantee: 'one process polls',
    file: 'src/stream/sole-owner.ts',
    find: 'sorted.find(({ owns }) => owns) ?? sorted[0]',
    replace: 'sorted[0]',
    test: parts('stays; else it is the first by id; there is none without members'),
  },
  {
    name: 'polled elements get a new id each time',
    guarantee: 'what is asked for twice has one id',
    file: OUTLET,
    find: 'JSON.stringify([source, appId, query, body])',
    replace: 'JSON.stringify([source, appId, query, body, Math.random()])',
    test: engine('gives the same ids after a restart'),
  },
  {
    name: 'the whole of the vendor’s rate is used, and a half more',
    guarantee: 'the vendor’s rate is kept',
    file: 'src/poll/line.ts',
    find: 'new Pace(perSecond * share)',
    replace: 'new Pace(perSecond * share * 1.5)',
    test: engine('never asks more in a second than the vendor allows'),
  },
];
