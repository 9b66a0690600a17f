// Sends five requests a second with the example of docs/clients.md until standard input ends. With LINES it prints a token for each line.

import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { wechat } from './wx.mjs';

const { APPID, API, LINES } = process.env;

if (LINES) {
  for await (const _ of createInterface({ input: process.stdin })) {
    await wechat(APPID, async (token) => { console.log(token); return {}; });
  }
  process.exit();
}
let running = true;
process.stdin.resume().on('end', () => { running = false; });
const result = { requests: 0, failed: 0, firstError: '' };
while (running) {
  result.requests++;
  try {
    const answer = await wechat(APPID, async (token) => (await fetch(`${API}/cgi-bin/user/info?openid=oABC123&access_token=${token}`)).json());
    if (answer.errcode) throw new Error(`WeChat refused: ${answer.errcode}`);
  } catch (error) {
    result.failed++;
    result.firstError ||= `${error.message}`;
  }
  await wait(200);
}
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exit();
