//! Node.js, if it is installed: its own servers, one process.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::Result;

use super::Peer;
use super::version::told;
use crate::protocol::Protocol;
use crate::site::Site;
use crate::work::Work;

pub(super) struct Node;

impl Peer for Node {
    fn name(&self) -> &'static str {
        "Node.js"
    }

    fn speaks(&self, _: Protocol) -> bool {
        true
    }

    fn does(&self, work: Work) -> bool {
        // Some of its sessions are not resumed.
        let resumed = matches!(work, Work::Handshake { resumed: true });
        !work.is_grpc() && !resumed && !matches!(work, Work::Echo(_))
    }

    fn ages(&self) -> bool {
        true
    }

    fn program(&self) -> OsString {
        "node".into()
    }

    fn version(&self) -> Option<String> {
        told("node", "--version")
    }

    fn command(&self, site: &Site, protocol: Protocol, at: SocketAddr) -> Result<Command> {
        let create = match protocol {
            Protocol::Http1 => "require('http').createServer({}, answer)",
            Protocol::Https => "require('https').createServer(tls, answer)",
            Protocol::Http2 => "require('http2').createServer({}, answer)",
            Protocol::Http2Tls => "require('http2').createSecureServer(tls, answer)",
        };
        let text = format!(
            r"
const {{ readFileSync }} = require('fs');
const tls = {{ cert: readFileSync('server.crt'), key: readFileSync('server.key') }};
const body = Buffer.from('Hello, World!');
const large = Buffer.alloc(1 << 20, 'w');
function answer(request, response) {{
    if (request.url === '/count') {{
        let came = 0;
        request.on('data', piece => came += piece.length);
        request.on('end', () => response.end(came + '\n'));
        return;
    }}
    if (request.url.startsWith('/bytes')) {{
        response.writeHead(200, {{ 'content-length': large.length }});
        response.end(large);
        return;
    }}
    const status = request.url === '/hello' ? 200 : 404;
    response.writeHead(status, {{ 'content-type': 'text/plain', 'content-length': body.length }});
    response.end(body);
}}
const server = {create};
server.keepAliveTimeout = {idle}e3;
server.headersTimeout = 3600e3;
server.listen({{ host: '{host}', port: {port}, backlog: 4096 }});
",
            host = at.ip(),
            port = at.port(),
            idle = site.idle
        );
        let mut command = Command::new("node");
        command.current_dir(site.folder());
        command.arg(site.write("node.js", &text)?);
        Ok(command)
    }
}
