"""Sends five requests a second with the example of docs/clients.md until standard input ends. With LINES it prints a token for each line."""

import json
import os
import select
import sys
import urllib.request

from wx import wechat

APPID, API = os.environ["APPID"], os.environ.get("API")


def user_info(token):
    with urllib.request.urlopen(f"{API}/cgi-bin/user/info?openid=oABC123&access_token={token}", timeout=13) as answer:
        return json.load(answer)


def show(token):
    print(token, flush=True)
    return {}


if os.environ.get("LINES"):
    for _ in sys.stdin:
        wechat(APPID, show)
    sys.exit()
result = {"requests": 0, "failed": 0, "firstError": ""}
while not select.select([sys.stdin], [], [], 0.2)[0]:
    result["requests"] += 1
    try:
        answer = wechat(APPID, user_info)
        if answer.get("errcode"):
            raise RuntimeError(f"WeChat refused: {answer['errcode']}")
    except Exception as error:  # a request of an app fails
        result["failed"] += 1
        result["firstError"] = result["firstError"] or str(error)
print(json.dumps(result))
