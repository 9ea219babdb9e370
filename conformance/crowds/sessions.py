"""Holds sessions of `websockets` open for a while, each with a message every second."""

import asyncio
import sys

from websockets.asyncio.client import connect


async def hold(url, until):
    messages = 0
    async with connect(url) as ws:
        while asyncio.get_running_loop().time() < until:
            await ws.send("hi")
            assert await asyncio.wait_for(ws.recv(), 10) == "hi"
            messages += 1
            await asyncio.sleep(1)
    return messages


async def main(url, count, seconds):
    until = asyncio.get_running_loop().time() + seconds
    print(sum(await asyncio.gather(*(hold(url, until) for _ in range(count)))))


asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
