/** What the vendors' pages answer to polls. */

/** The record of the v1 page, in its own lines (vendor-docs/trtc-call-rest-api.txt). */
export const V1_RECORD = `{
"callId": "2ae7d549-c441-4a9b-87c0-61810fe19582",
"sdkAppId": 88888888,
"mediaType": "video",
"roomId": "123456",
"startCallTs": 1688705638,
"acceptTs": 1688705641,
"endTs": 1688705668,
"caller": "alice",
"totalUserNumber": 2,
"callType": "single",
"callResult": "normal_end",
"callees": [
"bob1",
"bob2"
]
}`;

/** The record of the v4 page (vendors.md §4.2). */
export const V4_RECORD =
  '{"CallId": "04c9a0ac-8e38-4a19-be45-349c5ce7911b","Caller_Account": "user1","MediaType": "Audio","CallType": "MultiCall","StartTime": 1739868165,' +
  '"EndTime": 1740064224,"AcceptTime": 1739872743,"CallResult": "NormalEnd","CalleeList_Account": ["user1","user5","user2"],"RoomId": "roomid-1434","RoomIdType": 2}';

/** Ours, but odd as records of the vendor's list are: a result and a count that no table of its knows, and the caller among the callees (vendors.md §4.1). */
export const V1_OFFLINE_RECORD = `{
"callId": "5f1c7a3e-62a1-4b60-9d4f-0a6c7d1b2e33",
"sdkAppId": 88888888,
"mediaType": "audio",
"roomId": "123457",
"startCallTs": 1688705700,
"acceptTs": 1688705705,
"endTs": 1688705790,
"caller": "alice",
"totalUserNumber": 0,
"callType": "single",
"callResult": "offline",
"callees": [
"alice",
"bob1"
]
}`;

const event = (time: number, id: number) => `
                        {
                            "Type": 0,
                            "Time": ${time},
                            "EventId": ${id},
                            "ParamOne": -1,
                            "ParamTwo": -1
                        }`;
const peer = (id: string, ...events: string[]) => `
                {
                    "Content": [${events.join(',')}
                    ],
                    "PeerId": "${id}"
                }`;
const T = 1589975202782;
/** What the page of DescribeUserEvent answers about one user, in its own lines (vendor-docs/trtc-describe-user-event.txt). */
export const MEDIA_DATA = `[${[
  peer('hyder11', event(1589975272790, 32793)),
  peer('user_20453511', event(1589975212877, 32793)),
  peer('user_66319581', event(T, 32769), event(T, 32791), event(T, 32768), event(T, 32788), event(T, 32793)),
].join(',')}
            ]`;
