/** The example of the vendor's page (vendor-docs/aliyun-list-event-sub-event.txt): a push, and the log entry of it as ListEventSubEvent answers. */

export const ALIYUN_APP = '9qb1****';

/** As pushed; the page blacks out the AppId. */
export const ALIYUN_PUSH = {
  MsgId: '875d5266cbabb1834cc84a105cf68454',
  MsgTimestamp: 1697545591,
  SubscribeId: '09be0d2254cb5a89f4cbd86403ec5343',
  AppId: 'xxx',
  ChannelId: '9099',
  Contents: [
    {
      Event: 'UserEvent',
      UserEvent: {
        UserId: 'linux_test',
        EventTag: 'Leave',
        SessionId: 'je7y2sBZJZQ0VBJZrh4LnBkxvGH2WyVs',
        Timestamp: 1697545591,
        ChannelProfile: 'interactive_live',
        US: 5068748604047364,
        Reason: 1,
        Role: 1,
        TerminalType: 6,
        UserType: 2,
      },
    },
  ],
};
const [content] = ALIYUN_PUSH.Contents;

/** The same push, of another moment of the user's visit. */
export const aliyunPush = (EventTag: string, secondsEarlier = 0, more: object = {}) => ({
  ...ALIYUN_PUSH,
  AppId: ALIYUN_APP,
  Contents: [{ ...content, UserEvent: { ...content!.UserEvent, EventTag, Timestamp: 1697545591 - secondsEarlier, ...more } }],
});

/** A page of the log with one entry, whose Data is escaped once more than it should be, as on the vendor's page. */
export const aliyunPage = (push: object = ALIYUN_PUSH, Code = 200): string => `{
  "RequestId": "CC8CB656-A7BA-1811-9D6B-4CC187E988BD",
  "Count": 1,
  "HasMore": false,
  "Logs": [
    {
      "AppId": "9qb1****",
      "SubId": "ad53276431c****",
      "MessageId": "875d5266cbabb1834cc84a105cf6****",
      "Data": ${JSON.stringify(JSON.stringify(JSON.stringify(push)).slice(1, -1))},
      "Cost": 22,
      "Time": "2023-10-17 20:26:31.988",
      "Url": "http://****.com/callback",
      "Code": ${Code}
    }
  ]
}`;
