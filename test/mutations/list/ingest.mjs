/** Contract §3 and §7.1: what is answered 200 is durable, in order, and never deleted before it is safe elsewhere. */
const SPOOL = 'src/ingest/spool.ts';
const SEGMENT = 'src/ingest/spool-segment.ts';
const ROAD = 'src/ingest/road.ts';
const spool = (name) => ({ file: 'test/unit/ingest-spool.test.ts', name });
const crash = { file: 'test/unit/ingest-spool-crash.test.ts', name: 'finds everything acknowledged after power cuts at any instant' };
const road = (name) => ({ file: 'test/unit/ingest-road.test.ts', name });
const batcher = (name) => ({ file: 'test/unit/ingest-batcher.test.ts', name });

export const INGEST = [
  {
    name: 'a callback is answered before it is durable',
    guarantee: 'answered 200 is durable',
    file: 'src/ingest/server.ts',
    find: 'const durable = deps.submit(delivery);',
    replace: 'void deps.submit(delivery).catch(() => {});\n      const durable = Promise.resolve();',
    test: { file: 'test/unit/ingest-server.test.ts', name: 'hear nothing of a callback before it is durable' },
  },
  {
    name: 'a delivery is settled when its batch sets out',
    guarantee: 'answered 200 is durable',
    file: 'src/ingest/batcher.ts',
    find: 'await this.#accept(batch.map',
    replace: 'void this.#accept(batch.map',
    test: batcher('waits the linger time for company, then settles each with the fate of the batch'),
  },
  {
    name: 'two batches are on their way at once',
    guarantee: 'order of arrival is kept',
    edits: [
      { file: 'src/ingest/batcher.ts', find: 'if (this.#running !== null) return;', replace: '' },
      {
        file: 'src/ingest/batcher.ts',
        find: 'if (this.#running !== null || this.#queue.length === 0) return;',
        replace: 'if (this.#queue.length === 0) return;',
      },
    ],
    test: batcher('has one batch on its way at a time, in order, while the next one grows'),
  },
  {
    name: 'a refusal does not say when to come again',
    guarantee: '503 comes with Retry-After',
    file: 'src/ingest/server.ts',
    find: "answer(reply.header('retry-after', RETRY_AFTER_S), 503)",
    replace: 'answer(reply, 503)',
    test: road('when Kafka is away and the spool is full; nothing accepted is lost for it'),
  },
  {
    name: 'the spool acknowledges without fsync',
    guarantee: 'the spool: fsync before the acknowledgement',
    file: SEGMENT,
    find: 'await this.#file.sync();\n    this.size += bytes.length;',
    replace: 'this.size += bytes.length;',
    test: crash,
  },
  {
    name: 'the folder of a new segment is not synced',
    guarantee: 'the spool: a new file is in its folder before the acknowledgement',
    file: SPOOL,
    find: '    await this.#fs.syncDir(this.#options.dir);\n',
    replace: '',
    test: spool('acknowledges only after fsync, of the folder too when the segment is new'),
  },
  {
    name: 'the spool acknowledges before the write has ended',
    guarantee: 'the spool: fsync before the acknowledgement',
    file: SEGMENT,
    find: 'await this.#file.write(bytes, this.size);',
    replace: 'void this.#file.write(bytes, this.size);',
    test: spool('closes the segment after a failed write, and goes on in a new one'),
  },
  {
    name: 'a segment goes on after a failed fsync',
    guarantee: 'the spool: a failed fsync closes its segment',
    file: SPOOL,
    find: '      await this.#retire();\n',
    replace: '',
    test: spool('closes the segment after a failed sync, and goes on in a new one'),
  },
  {
    name: 'a failed fsync is not told',
    guarantee: 'the spool: a failed fsync is answered 503',
    file: SPOOL,
    find: "throw new CallstreamError('SPOOL_FAILED'",
    replace: "if (cause === null) throw new CallstreamError('SPOOL_FAILED'",
    test: road('when fsync fails; the next callback tries a new segment'),
  },
  {
    name: 'newcomers overtake the spool',
    guarantee: 'order of arrival is kept behind the spool',
    file: ROAD,
    find: 'return this.#outlet === null || !this.#deps.spool.isEmpty;',
    replace: 'return this.#outlet === null;',
    test: road('keeps the order under load while the spool drains, and leaves the spool again'),
  },
  {
    name: 'a spool that is being written to counts as empty',
    guarantee: 'order of arrival is kept behind the spool',
    file: SPOOL,
    find: 'return !this.#appending && this.#segments.length === 0;',
    replace: 'return this.#segments.length === 0;',
    test: spool('is not empty while its first record is being written'),
  },
  {
    name: 'segments of an earlier run are read newest first',
    guarantee: 'order of arrival is kept over restarts',
    file: SPOOL,
    find: 'sequences.sort((a, b) => a - b)',
    replace: 'sequences.sort((a, b) => b - a)',
    test: crash,
  },
  {
    name: 'a batch leaves the spool while it is on its way to Kafka',
    guarantee: 'the spool: nothing is deleted before Kafka has it',
    file: 'src/ingest/drainer.ts',
    find: 'if (deliveries.length > 0) await kafka.send(deliveries);',
    replace: 'if (deliveries.length > 0) void kafka.send(deliveries).catch(() => {});',
    test: { file: 'test/unit/ingest-drainer.test.ts', name: 'lets go of a batch only when Kafka has it' },
  },
  {
    name: 'a batch leaves the spool when it is read',
    guarantee: 'the spool: nothing is deleted before Kafka has it',
    file: SPOOL,
    find: 'return { payloads: read.entries.map((entry) => entry.payload), segment, end: read.end };',
    replace:
      'segment.position = read.end;\n        return { payloads: read.entries.map((entry) => entry.payload), segment, end: read.end };',
    test: spool('keeps records that were read but not released'),
  },
  {
    name: 'a damaged segment is deleted',
    guarantee: 'the spool: nothing that cannot be read is thrown away',
    file: SEGMENT,
    find: 'if (this.damaged) await this.#fs.rename',
    replace: 'if (this.size < 0) await this.#fs.rename',
    test: spool('never mistakes damage for a torn tail: a wrong last record is set aside'),
  },
  {
    name: 'a torn tail is left where it is',
    guarantee: 'the spool: a torn tail is cut, and nothing else',
    file: SEGMENT,
    find: '        await this.#file.truncate(frame.start);\n',
    replace: '',
    test: spool('cuts a torn tail at every possible length'),
  },
  {
    name: 'a full spool makes room by forgetting the oldest',
    guarantee: 'the spool: full means 503, never deletion',
    file: SPOOL,
    find: "    if (full !== null) throw new CallstreamError('SPOOL_FULL'",
    replace:
      "    if (full !== null && this.#segments.length > 0) await this.#discard(this.#segments[0] as Segment);\n    else if (full !== null) throw new CallstreamError('SPOOL_FULL'",
    test: spool('refuses what would exceed its size, deletes nothing, and takes again once there is room'),
  },
  {
    name: 'ids are made anew when the spool drains',
    guarantee: 'what is sent twice has one id',
    file: 'src/ingest/drainer.ts',
    find: 'deliveries.push(unpackDelivery(payload));',
    replace:
      'const delivery = unpackDelivery(payload);\n      deliveries.push({ ...delivery, event: { ...delivery.event, id: String(Math.random()) } });',
    test: road('repeats with equal ids what was acknowledged by Kafka but could not be ticked off'),
  },
];
