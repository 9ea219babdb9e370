"""Holds channels of grpcio open for a while, each with a call every second."""

import asyncio
import sys

import grpc

METHOD = "/wharf.demo.v1.Echo/Unary"
OPTIONS = [("grpc.use_local_subchannel_pool", 1)]


async def hold(address, until):
    calls = 0
    async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
        # EchoRequest and EchoReply have the same first field.
        call = channel.unary_unary(METHOD, request_serializer=bytes, response_deserializer=bytes)
        while asyncio.get_running_loop().time() < until:
            assert await call(b"\x0a\x02hi", timeout=10) == b"\x0a\x02hi"
            calls += 1
            await asyncio.sleep(1)
    return calls


async def main(address, count, seconds):
    until = asyncio.get_running_loop().time() + seconds
    print(sum(await asyncio.gather(*(hold(address, until) for _ in range(count)))))


asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
