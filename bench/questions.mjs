/** What the pages of the dashboard ask the query API. */

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** A call in the middle of everything, and where pages of calls go on that are deep in the list. */
async function someone(reader, app, until) {
  const [call] = await reader.query(
    `SELECT call_id, caller, room_id FROM calls_latest
     WHERE app_id = {app:String} AND started_at > fromUnixTimestamp64Milli({from:Int64}) AND media_type = 'video' LIMIT 1`,
    { app, from: until - 40 * DAY },
  );
  const cursorAt = (at) => Buffer.from(JSON.stringify([at, 'tencent', app, ''])).toString('base64url');
  return {
    call: encodeURIComponent(call.call_id),
    user: encodeURIComponent(call.caller),
    room: encodeURIComponent(call.room_id),
    deep: cursorAt(until - 45 * DAY),
    deeper: cursorAt(until - 89 * DAY),
  };
}

/** @returns {page, path, first}: `first` where only the first bytes matter */
export async function questionsOf(reader, [app], until) {
  const { call, user, room, deep, deeper } = await someone(reader, app, until);
  const month = `from=${until - 30 * DAY}`;
  const filters = [
    ...['answered', 'no_answer', 'cancelled', 'rejected', 'busy', 'failed', 'unknown'].map((outcome) => `outcome=${outcome}`),
    'status=ringing,active',
    'missed=true',
    `app=${app}`,
    'type=group',
    'media=audio',
    `user=${user}`,
    `room=${room}`,
    `call=${call}`,
    `q=${user}`,
    'q=nobody',
    `from=${until - 8 * DAY}&to=${until - 7 * DAY}`,
  ];
  const pages = {
    overview: [
      ...['1h', '24h', '7d', '30d', '90d'].flatMap((window) => [`summary?window=${window}&compare=previous`, `series?window=${window}`]),
      `summary?window=30d&compare=previous&app=${app}&type=single&media=video`,
      'series?window=30d&step=1d&tz=Europe/Berlin&compare=previous',
      'heatmap?window=30d&tz=Europe/Berlin',
      'heatmap?window=90d&tz=Europe/Berlin',
      ...['1h', '24h', '30d', '90d'].map((window) => `concurrency?window=${window}`),
    ],
    missed: [
      'missed?window=24h',
      'missed?window=7d',
      `missed?window=7d&app=${app}&callee=${user}`,
      'missed/callees?window=24h',
      'missed/callees?window=7d',
    ],
    calls: [
      'calls',
      'calls?limit=500',
      ...filters.map((filter) => `calls?limit=500&${filter}`),
      `calls?limit=500&cursor=${deep}`,
      `calls?limit=500&cursor=${deeper}`,
      `calls?limit=500&outcome=failed&cursor=${deep}`,
      'calls/count',
      ...filters.map((filter) => `calls/count?${filter}`),
      ...filters.filter((filter) => !filter.includes('from=')).map((filter) => `calls/count?${filter}&${month}`),
    ],
    call: [`calls/tencent/${app}/${call}`],
    people: ['', '/calls', '/contacts', '?window=30d', '/contacts?window=30d'].map((rest) => `users/${app}/${user}${rest}`),
    recordings: ['recordings', 'recordings?exceptions=true', 'recordings?status=finished,failed&exceptions=false'],
    health: [
      'health?window=1h',
      'health?window=24h',
      'health?window=24h&source=tuicallkit',
      'health?window=7d',
      'dead-letters',
      'dead-letters?stage=parse',
    ],
    alerts: ['alerts', 'alerts?state=firing'],
    every: ['apps'],
    // Pages offer a week of these at most.
    'API alone': ['missed?window=30d', 'missed/callees?window=30d'],
  };
  const begun = [`calls/export?format=csv&${month}`, 'calls/export?format=ndjson&outcome=failed'];
  return [
    ...Object.entries(pages).flatMap(([page, paths]) => paths.map((path) => ({ page, path, first: false }))),
    ...begun.map((path) => ({ page: 'calls', path, first: true })),
  ];
}
