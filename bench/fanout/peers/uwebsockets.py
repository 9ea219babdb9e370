"""A room of uWebSockets, by its bindings for Python: they hand the message to its own publish."""

import sys

from socketify import App, OpCode


def joined(member):
    member.subscribe("room")


app = App()
app.ws("/room", {
    "open": joined,
    "message": lambda member, data, _: app.publish("room", data, OpCode.BINARY),
})
app.listen(int(sys.argv[1]), lambda _: None)
app.run()
